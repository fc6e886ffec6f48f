#include "serve/worker/worker.h"

#include "base/error.h"
#include "engine/bench/choose_speculation.h"
#include "engine/device/rpc.h"
#include "engine/llama/log.h"
#include "engine/llama/passing_thread.h"
#include "engine/predict/fit.h"
#include "serve/prompt/template_trial.h"
#include "serve/wire/documents.h"
#include "serve/wire/frames.h"
#include "serve/worker/answers.h"
#include "serve/worker/attendance.h"
#include "serve/worker/channel.h"
#include "serve/worker/hosted_model.h"
#include "serve/worker/jobs.h"
#include "serve/worker/watchdog.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace shimmy::serve::worker {

namespace {

constexpr const char * REQUEST = "a request's chat template, schema, grammar or text";
constexpr std::chrono::milliseconds ASK_PATIENCE{30000};  // for the request's own frames, which are sent at once

// The socket that is stdout; from now on, what is printed goes to stderr.
Descriptor take_control() {
    const int control = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (control < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) ::_exit(1);
    return Descriptor(control);
}

bool load_backends(const Backends & backends) {
    engine::load_backends(backends.gpu);
    engine::add_rpc_servers(backends.rpc_servers);
    if (backends.moe_gpu_min_batch) engine::set_gpu_min_batch(*backends.moe_gpu_min_batch);
    return engine::load_moe_backend(backends.moe, backends.moe_cache);
}

class Worker {
public:
    explicit Worker(Descriptor control) : control_(std::move(control)), watchdog_(control_) {}

    // Takes requests, one after another, and starts another thread where none is left to take the next: a request need
    // not wait for a thread to be made for it.
    void run() {
        while (true) {
            ++n_waiting_;
            std::optional<Descriptor> channel = receive_descriptor(control_.fd());
            if (!channel) ::_exit(0);  // the kernel frees all that is held, whatever hangs
            if (--n_waiting_ == 0) std::thread([this] { run(); }).detach();
            serve(std::move(*channel));
            if (n_waiting_ >= MAX_WAITING) return;
        }
    }

private:
    void serve(Descriptor socket) {
        std::string ask;
        std::string body;
        {
            wire::FrameReader reader(socket);
            wire::Frame frame;
            for (std::string * part : {&ask, &body}) {
                if (reader.read(frame, ASK_PATIENCE) != wire::FrameReader::Got::frame) return;
                *part = std::move(frame.payload);
            }
        }
        Channel channel(std::move(socket), wire::ask_from(Json::parse(ask)), std::move(body));
        try {
            answer_on(channel);
        } catch (const JobError & error) {
            channel.send_error(error.document());
        } catch (const std::bad_alloc &) {
            channel.send_error(503, "there is not enough memory for this request");
        } catch (const std::exception & error) {  // llama.cpp's own, about what the request says
            channel.send_error(400, error.what());
        }
    }

    void answer_on(Channel & channel) {
        const std::string & route = channel.ask().route;
        if (route == wire::LOAD) return load(channel);
        if (route == wire::DEVICES) return tell_devices(channel);
        if (model_ == nullptr) return channel.send_error(503, "no model is loaded");
        if (route == wire::EXPERTS) return channel.answer(wire::to_json(model_->experts_now()).dump());
        const Watchdog::Work work(watchdog_);
        if (is_completion(route) || is_embedding(route)) return compute(channel);
        call_handler(channel);
    }

    // ---- Loading ----

    // A device that is not there was asked for on the command line.
    static const char * type_of(const std::exception & error) {
        return dynamic_cast<const UsageError *>(&error) == nullptr ? "" : wire::USAGE;
    }

    static void send_load_error(Channel & channel, const char * type, const std::exception & error) {
        channel.send_error(json{{"code", 503}, {"type", type}, {"message", error.what()}});
    }

    engine::ChosenSpeculation host(const std::string & name, ModelOptions & options) {
        engine::ChosenSpeculation speculation = engine::choose_speculation(options.load);
        options.load.open_file();                                              // whose header is then read once
        if (options.embeddings) options.load.n_ubatch = options.load.n_batch;  // a text's is computed in one piece
        engine::load_placed(options.load, [&](const engine::PlacementChoice & placement) {
            model_ = std::make_unique<HostedModel>(name, options, placement);
        });
        return speculation;
    }

    void load(Channel & channel) {
        const Json document = Json::parse(channel.body());
        ModelOptions options = wire::options_from(document);
        bool moe_backend = false;
        try {
            engine::set_log_verbosity(options.verbosity);
            moe_backend = load_backends(options.backends);
        } catch (const std::exception & error) {
            return send_load_error(channel, type_of(error), error);
        }
        try {
            const std::vector<engine::Device> before = engine::devices();
            {
                const Watchdog::Preparation preparation(watchdog_, "the model's chat template");
                try_chat_template(options);
            }
            const std::string name = wire::name_from(document);
            // Speculation is measured and the model warmed up here; answers are computed by the model's own loop.
            const engine::ChosenSpeculation speculation =
                engine::on_passing_thread([&] { return host(name, options); });
            watchdog_.watch_loop(options.stall_limit, [this] { probe(); });
            Loaded loaded = model_->loaded();
            loaded.moe_backend = moe_backend;
            loaded.speculation = speculation;
            loaded.devices_before = before;
            channel.answer(wire::to_json(loaded).dump(-1, ' ', false, Json::error_handler_t::replace));
        } catch (const engine::DoesNotFit & error) {
            send_load_error(channel, wire::DOES_NOT_FIT, error);
        } catch (const std::exception & error) {
            send_load_error(channel, "", error);
        }
    }

    static void tell_devices(Channel & channel) {
        const Json document = Json::parse(channel.body());
        const ModelOptions options = wire::options_from(document);
        try {
            load_backends(options.backends);
            channel.answer(wire::to_json(engine::devices()).dump(-1, ' ', false, Json::error_handler_t::replace));
        } catch (const std::exception & error) {
            send_load_error(channel, type_of(error), error);
        }
    }

    // ---- Requests ----

    // Preparing a request takes up to 60 times its memory: large ones take turns. The watchdog does not count the wait.
    std::unique_lock<std::mutex> turn_of(const Channel & channel) {
        constexpr size_t LARGE_BYTES = size_t{256} << 10;
        std::unique_lock turn(large_requests_, std::defer_lock);
        if (channel.body().size() > LARGE_BYTES) turn.lock();
        return turn;
    }

    static bool is_gone(const Channel & channel) {
        pollfd client{channel.socket().fd(), POLLRDHUP, 0};
        return ::poll(&client, 1, 0) == 1 && (client.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    }

    void echo_prompts(Job & job, const Channel & channel) {
        try {
            for (const EchoedPrompt & prompt : job.echoed)
                job.echoes.push_back(echo_of(prompt, job.n_top_echoed, model_->vocab(), model_->scorer(),
                                             [&] { return is_gone(channel); }));
        } catch (const Error & error) {  // nothing that the request says
            throw JobError(ERROR_TYPE_UNAVAILABLE, error.what());
        }
    }

    // The process would end at the first weight that is gone.
    void require_whole_files() const {
        try {
            model_->files().require_whole();
        } catch (const Error & error) {
            throw JobError(ERROR_TYPE_UNAVAILABLE, error.what());
        }
    }

    void compute(Channel & channel) {
        std::unique_lock turn = turn_of(channel);
        if (is_gone(channel)) return;
        require_whole_files();
        Watchdog::Preparation preparation(watchdog_, REQUEST);
        server_response_reader reader = model_->reader();
        Attendance::Ticket ticket(attendance_, channel.socket(), reader);
        const std::string & route = channel.ask().route;
        Job job = is_completion(route) ? make_completion(*model_, reader, route, channel.body())
                                       : make_embedding(*model_, reader, route, channel.body());
        channel.drop_body();
        preparation.done();
        if (turn) turn.unlock();
        echo_prompts(job, channel);
        answer(*model_, ticket, reader, channel, std::move(job));
    }

    // Those of llama.cpp that compute nothing.
    const server_http_context::handler_t * handler_of(const std::string & route) const {
        const server_routes & routes = model_->routes();
        static const std::map<std::string, server_http_context::handler_t server_routes::*> handlers{
            {"/v1/chat/completions/input_tokens", &server_routes::post_chat_completions_tok},
            {"/v1/responses/input_tokens", &server_routes::post_responses_tok_oai},
            {"/v1/messages/count_tokens", &server_routes::post_anthropic_count_tokens},
            {"/v1/chat/completions/control", &server_routes::post_control},
            {"/apply-template", &server_routes::post_apply_template},
            {"/tokenize", &server_routes::post_tokenize},
            {"/detokenize", &server_routes::post_detokenize},
            {"/props", &server_routes::get_props},
            {"/slots", &server_routes::get_slots},
            {"/slots/action", &server_routes::post_slots},
            {"/metrics", &server_routes::get_metrics},
        };
        const auto known = handlers.find(route);
        return known == handlers.end() ? nullptr : &(routes.*known->second);
    }

    void call_handler(Channel & channel) {
        const auto * handler = handler_of(channel.ask().route);
        if (handler == nullptr) return channel.send_error(404, "there is no such path here");
        if (channel.body().size() > MAX_COUNTED_BYTES)
            return channel.send_error(
                400, fmt::format("the text is too long: at most {} MiB are counted here", MAX_COUNTED_BYTES >> 20));
        const std::unique_lock turn = turn_of(channel);
        if (is_gone(channel)) return;
        const Watchdog::Preparation preparation(watchdog_, REQUEST);
        const std::function<bool()> never = [] { return false; };
        if (channel.ask().params.contains("id_slot")) require_slot(*model_, channel.ask().params.at("id_slot"));
        const std::string body = readable_body(channel.ask().route, channel.body());
        const server_http_req request{channel.ask().params, {}, channel.ask().route, "", body, {}, never};
        const server_http_res_ptr result = (*handler)(request);
        if (result->status >= 400) {
            const json document = json::parse(result->data);
            return channel.send_error(document.at("error"));
        }
        channel.answer(result->data, {}, result->content_type);
    }

    // Comes back when llama.cpp's loop has looked at it, which it also does while it decodes.
    void probe() {
        server_response_reader reader = model_->reader();
        server_task task(SERVER_TASK_TYPE_METRICS);
        task.id = reader.get_new_id();
        reader.post_task(std::move(task), /*front=*/true);
        (void)reader.next([] { return false; });
    }

    static constexpr int MAX_WAITING = 4;  // threads kept for requests to come
    // Of a request that no context bounds: /tokenize, /apply-template and those that count tokens.
    static constexpr size_t MAX_COUNTED_BYTES = size_t{4} << 20;

    std::atomic<int> n_waiting_ = 0;
    Descriptor control_;
    std::mutex large_requests_;
    Watchdog watchdog_;
    Attendance attendance_;
    std::unique_ptr<HostedModel> model_;
};

}  // namespace

}  // namespace shimmy::serve::worker

namespace shimmy::serve {

void run_worker() {
    // The terminal and service managers send these to every process; the server decides.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    ::setenv("GGML_NO_BACKTRACE", "1", /*overwrite=*/0);  // so that the last line says why, and no debugger is started
    worker::Worker worker(worker::take_control());
    std::thread([&worker] { worker.run(); }).detach();
    while (true)
        ::pause();  // a thread that takes requests ends the process
}

}  // namespace shimmy::serve
