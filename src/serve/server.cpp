#include "serve/server.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/fit.h"
#include "engine/load_params.h"
#include "engine/log.h"
#include "gguf/model_info.h"

#include "log.h"
#include "server-common.h"
#include "server-context.h"
#include "server-http.h"
#include "server-stream.h"

#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::serve {

namespace {

constexpr std::chrono::milliseconds STOP_POLL{50};  // how soon SIGTERM is noticed

common_params make_params(const ServerOptions & options, const engine::LoadParams & load, uint32_t n_ctx_trained) {
    const llama_context_params context = load.context_params(n_ctx_trained);
    common_params params;
    params.model.path = options.load.path;
    params.model_alias = {options.model_name};
    params.devices = load.backend_devices();
    if (load.overrides().size() > 1) params.tensor_buft_overrides = load.overrides();
    params.n_gpu_layers = load.device().is_gpu() ? -2 : 0;  // -2: all of them
    params.fit_params = false;  // what does not fit is refused; llama.cpp would change the placement
    params.cpuparams.n_threads = load.n_threads();
    params.cpuparams_batch.n_threads = load.n_threads();
    params.n_ctx = static_cast<int32_t>(context.n_ctx);
    params.n_batch = static_cast<int32_t>(context.n_batch);
    params.n_ubatch = static_cast<int32_t>(context.n_ubatch);
    params.n_parallel = static_cast<int32_t>(options.load.n_parallel);
    params.warmup = options.load.warm_up;
    params.hostnames = {options.address.host};
    params.port = options.address.port;
    params.cors_origins = "localhost";  // pages of other origins cannot use the model
    params.ui = false;
    params.endpoint_slots = false;
    if (!options.api_key.empty()) params.api_keys = {options.api_key};
    return params;
}

server_http_res_ptr error_response(const std::string & message, error_type type) {
    auto response = std::make_unique<server_http_res>();
    json error = format_error_response(message, type);
    response->status = json_value(error, "code", 500);
    response->data = safe_json_to_str({{"error", error}});
    return response;
}

// An answer together with the request it reads from, which also ends when this program is asked to: llama.cpp's ends
// only when its client goes away, and would keep the server from stopping.
struct StoppableAnswer : server_http_res {
    StoppableAnswer(const server_http_req & original, const server_http_context::handler_t & handler)
        : should_stop([&original_stop = original.should_stop] { return interrupted() || original_stop(); }),
          request{original.params, original.headers, original.path, original.query_string,
                  original.body,   original.files,   should_stop},
          answer(handler(request)) {
        content_type = answer->content_type;
        status = answer->status;
        data = answer->data;
        headers = answer->headers;
        if (answer->is_stream()) next = [this](std::string & chunk) { return answer->next(chunk); };
    }
    void on_complete() override { answer->on_complete(); }

    std::function<bool()> should_stop;
    server_http_req request;
    server_http_res_ptr answer;
};

// A handler that answers with a JSON error where the other would throw: the HTTP library must not see exceptions.
server_http_context::handler_t guarded(server_http_context::handler_t handler) {
    return [handler = std::move(handler)](const server_http_req & request) -> server_http_res_ptr {
        try {
            return std::make_unique<StoppableAnswer>(request, handler);
        } catch (const std::invalid_argument & error) {
            return error_response(error.what(), ERROR_TYPE_INVALID_REQUEST);
        } catch (const common_json_error & error) {
            return error_response(error.what(), ERROR_TYPE_INVALID_REQUEST);
        } catch (const std::exception & error) {
            return error_response(error.what(), ERROR_TYPE_SERVER);
        }
    };
}

void add_routes(server_http_context & http, const server_routes & routes) {
    http.get("/health", guarded(routes.get_health));
    http.get("/v1/models", guarded(routes.get_models));
    http.post("/v1/chat/completions", guarded(routes.post_chat_completions));
    http.post("/v1/completions", guarded(routes.post_completions_oai));
    http.post("/tokenize", guarded(routes.post_tokenize));
}

// Why the address could not be had, from trying it again.
std::string bind_error(const Address & address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo * found = nullptr;
    const int rc = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (rc != 0) return ::gai_strerror(rc);
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> guard(found, ::freeaddrinfo);
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const bool bound = ::bind(fd, found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd, 1) == 0;
    const int error = errno;
    ::close(fd);
    return bound ? "could not be opened" : std::strerror(error);
}

// llama.cpp's server from its first socket to its last thread.
class Server {
public:
    explicit Server(const ServerOptions & options)
        : options_(options),
          load_(options.load, /*no_alloc=*/false),
          params_(make_params(options, load_, static_cast<uint32_t>(n_ctx_trained(options.load.path)))) {
        common_log_set_verbosity_thold(options.verbosity == 0   ? LOG_LEVEL_OUTPUT
                                       : options.verbosity == 1 ? LOG_LEVEL_WARN
                                                                : LOG_LEVEL_INFO);
        server_stream_session_manager_start();
    }
    ~Server() {
        server_stream_session_manager_stop();
        http_.stop();
        context_.terminate();
        http_.join();
    }
    Server(const Server &) = delete;
    Server & operator=(const Server &) = delete;

    void listen() {
        if (!http_.init(params_)) fail("the HTTP server could not be set up (try -v)");
        add_routes(http_, routes_);
        if (!http_.start()) {
            fail("{}: {}: choose another address with --bind ({}:0 takes any free port)", options_.address.text(),
                 bind_error(options_.address), options_.address.host);
        }
    }

    Started load() {
        const engine::LogCapture log;
        const auto start = std::chrono::steady_clock::now();
        const bool loaded = context_.load_model(params_);
        check_interrupted();
        if (!loaded) fail("{}: {}", options_.load.path, log.reason("llama.cpp could not load it (try -vv)"));
        Started started;
        started.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
        llama_context * context = context_.get_llama_context();
        const llama_model * model = llama_get_model(context);
        started.address = {options_.address.host, http_.port};
        started.device = load_.device();
        started.n_threads = load_.n_threads();
        started.n_ctx = llama_n_ctx(context) / options_.load.n_parallel;
        started.has_chat_template = llama_model_chat_template(model, nullptr) != nullptr;
        started.memory = engine::read_memory(context);
        started.expert_ram_bytes = engine::expert_ram_bytes(engine::read_tensors(model));
        return started;
    }

    // Until SIGINT or SIGTERM.
    void run() {
        routes_.update_meta(context_);
        http_.is_ready.store(true);
        const std::jthread watcher([this](const std::stop_token & stop) {
            while (!stop.stop_requested() && !interrupted())
                std::this_thread::sleep_for(STOP_POLL);
            context_.terminate();
        });
        context_.start_loop();
    }

private:
    static int64_t n_ctx_trained(const std::string & path);

    const ServerOptions & options_;
    engine::LoadParams load_;
    common_params params_;
    server_context context_;
    server_routes routes_{params_, context_};
    server_http_context http_;
};

int64_t Server::n_ctx_trained(const std::string & path) {
    return gguf::read_model_info(path).n_ctx_train;
}

}  // namespace

void serve(const ServerOptions & options, const std::function<void(const Started & started)> & on_started) {
    if (!options.address.is_loopback() && options.api_key.empty()) {
        fail_usage("{} can be reached from other machines: that needs --api-key or --api-key-file",
                   options.address.text());
    }
    engine::require_loadable(options.load);
    Server server(options);
    server.listen();
    const Started started = server.load();
    on_started(started);
    server.run();
}

}  // namespace shimmy::serve
