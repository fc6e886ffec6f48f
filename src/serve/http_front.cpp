#include "serve/http_front.h"

#include "base/files.h"
#include "base/process/interrupt.h"
#include "serve/port_owner.h"

#include <cpp-httplib/httplib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::serve {

namespace {

constexpr size_t MAX_BODY_BYTES = size_t{32} << 20;  // a prompt of millions of tokens
constexpr int READ_TIMEOUT_S = 10;                   // between two pieces of a request
constexpr int WRITE_TIMEOUT_S = 60;                  // a client that reads nothing for so long is gone
constexpr size_t MAX_CONNECTIONS = 2048;             // at once; more are closed at once
// Without a request. Longer than clients and load balancers keep theirs (60 s is usual): one that this server closes
// while a request is on its way is a failure to its client.
constexpr int KEEP_ALIVE_S = 75;
constexpr size_t MAX_REQUESTS = 1'000'000;  // of one connection

// A thread per connection. httplib's own pool counts a thread as idle until it wakes, so that a burst of connections
// waits for those that send slowly.
class Connections : public httplib::TaskQueue {
public:
    bool enqueue(std::function<void()> serve) override {
        const std::lock_guard lock(mutex_);
        if (n_open_ == MAX_CONNECTIONS) return false;  // closes the connection
        ++n_open_;
        std::thread([this, serve = std::move(serve)] {
            serve();
            const std::lock_guard ended(mutex_);
            --n_open_;
            closed_.notify_all();
        }).detach();
        return true;
    }
    void shutdown() override {
        std::unique_lock lock(mutex_);
        closed_.wait(lock, [this] { return n_open_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable closed_;
    size_t n_open_ = 0;
};

// In a time that tells nothing about where the two differ: both are hashed, and every byte of the hashes is looked at.
bool same_secret(const std::string & a, const std::string & b) {
    const std::string hash_a = sha256_hex(a);
    const std::string hash_b = sha256_hex(b);
    unsigned difference = 0;
    for (size_t i = 0; i < hash_a.size(); ++i)
        difference |= static_cast<unsigned char>(hash_a[i]) ^ static_cast<unsigned char>(hash_b[i]);
    return difference == 0;
}

// "Authorization: Bearer KEY", or Anthropic's "X-Api-Key: KEY".
std::string sent_key(const httplib::Request & request) {
    const std::string authorization = request.get_header_value("Authorization");
    constexpr std::string_view SCHEME = "bearer ";
    if (authorization.size() > SCHEME.size() && ::strncasecmp(authorization.data(), SCHEME.data(), SCHEME.size()) == 0)
        return authorization.substr(SCHEME.size());
    return request.get_header_value("X-Api-Key");
}

// "http://localhost:3000": pages on this machine may use the server, pages of other origins may not.
bool is_local_origin(const std::string & origin) {
    const size_t scheme = origin.find("://");
    if (scheme == std::string::npos) return false;
    std::string host = origin.substr(scheme + 3);
    if (host.starts_with('[')) return host.starts_with("[::1]");
    host = host.substr(0, host.find_first_of(":/"));
    return host == "localhost" || host == "127.0.0.1";
}

// A page that this server sent: "http://server:11435" asking server:11435.
bool is_own_origin(const httplib::Request & request, const std::string & origin) {
    return origin == "http://" + request.get_header_value("Host");
}

void allow_local_pages(const httplib::Request & request, httplib::Response & response) {
    const std::string origin = request.get_header_value("Origin");
    if (!is_local_origin(origin)) return;
    response.set_header("Access-Control-Allow-Origin", origin);
    response.set_header("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
    response.set_header("Access-Control-Allow-Headers", "*, Authorization");
    response.set_header("Vary", "Origin");
}

std::string to_text(const Json & document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A request as handlers see it, with the function it refers to.
struct OwnedRequest {
    explicit OwnedRequest(const httplib::Request & original, std::function<bool()> stop)
        : should_stop([stop = std::move(stop), stopped = std::make_shared<std::atomic<bool>>(false)] {
              if (!*stopped && stop()) *stopped = true;  // for good: llama.cpp asks again and relies on it
              return stopped->load();
          }),
          request{{}, {}, original.path, "", original.body, {}, should_stop} {
        for (const auto & [key, value] : original.params)
            request.params[key] = value;
        for (const auto & [key, value] : original.path_params)
            request.params[key] = httplib::decode_path_component(value);
        for (const auto & [key, value] : original.headers)
            request.headers[key] = value;
    }
    std::function<bool()> should_stop;
    Request request;
};

void send_whole(Answer & answer, httplib::Response & response) {
    response.set_content(answer.data, answer.content_type);
    answer.on_complete();
}

void send_pieces(std::shared_ptr<OwnedRequest> request, std::shared_ptr<Answer> answer, httplib::Response & response) {
    response.set_header("X-Accel-Buffering", "no");  // nginx would hold pieces back
    response.set_header("Cache-Control", "no-store");
    const auto provider = [answer](size_t, httplib::DataSink & sink) {
        std::string chunk;
        const bool more = answer->next(chunk);
        if (!chunk.empty() && !sink.write(chunk.data(), chunk.size())) return false;
        if (!more) sink.done();
        return true;
    };
    response.set_chunked_content_provider(answer->content_type, provider,
                                          [request = std::move(request), answer](bool) { answer->on_complete(); });
}

// Reads what a WebSocket's client sends while it is answered: nothing but its farewell is expected.
class ClientListener {
public:
    explicit ClientListener(httplib::ws::WebSocket & socket) : socket_(socket) {
        socket_.set_read_timeout(INTERVAL);
        thread_ = std::thread([this] {
            std::string ignored;
            while (!is_over() && socket_.read(ignored) != httplib::ws::Fail) {
            }
            gone_ = true;
        });
    }
    // Says farewell, and waits a little for the client's.
    ~ClientListener() {
        patience_end_ = Clock::now() + (interrupted() ? Clock::duration::zero() : Clock::duration(PATIENCE));
        socket_.close();
        thread_.join();
    }
    ClientListener(const ClientListener &) = delete;
    ClientListener & operator=(const ClientListener &) = delete;

    bool is_gone() const { return gone_; }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds INTERVAL{100};
    static constexpr std::chrono::seconds PATIENCE{CPPHTTPLIB_WEBSOCKET_CLOSE_TIMEOUT_SECOND};  // httplib's own

    bool is_over() const { return Clock::now() > patience_end_.load() || interrupted(); }

    httplib::ws::WebSocket & socket_;
    std::atomic<Clock::time_point> patience_end_ = Clock::time_point::max();
    std::atomic<bool> gone_ = false;
    std::thread thread_;
};

// Why the address could not be had, as errno has it, from trying it again; 0: it can be had now.
int bind_errno(const addrinfo & address) {
    const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    const bool bound = ::bind(fd, address.ai_addr, address.ai_addrlen) == 0 && ::listen(fd, 1) == 0;
    const int error = bound ? 0 : errno;
    ::close(fd);
    return error;
}

[[noreturn]] void fail_to_bind(const Address & address, const std::string & option) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo * found = nullptr;
    const int rc = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (rc != 0) fail("{}: {} (choose another address with {})", address.host, ::gai_strerror(rc), option);
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> guard(found, ::freeaddrinfo);
    const int error = bind_errno(*found);
    if (error != EADDRINUSE)
        fail("{}: {} (choose another address with {})", address.text(),
             error == 0 ? "could not be opened" : std::strerror(error), option);
    const auto owner = port_owner(address.port);
    const Address next{address.host, next_free_port(address.port)};
    fail("{} is taken by {}; {} {}", address.text(),
         owner ? fmt::format("{} (process {})", owner->program, owner->pid) : "another program",
         next.port == 0 ? "choose another address with" : next.text() + " is free:",
         next.port == 0 ? option : fmt::format("{} {}", option, next.text()));
}

}  // namespace

struct HttpFront::Impl {
    Address address;
    std::string api_key;
    std::vector<std::string> open_paths;
    std::function<Json(int, const std::string &)> error_format = error_document;
    std::atomic<bool> stopping = false;
    httplib::Server server;
    std::thread listener;

    void set_up() {
        server.new_task_queue = [] { return new Connections; };
        server.set_default_headers({{"Server", "shimmy"}});
        server.set_payload_max_length(MAX_BODY_BYTES);
        server.set_read_timeout(READ_TIMEOUT_S);
        server.set_write_timeout(WRITE_TIMEOUT_S);
        server.set_keep_alive_timeout(KEEP_ALIVE_S);
        server.set_keep_alive_max_count(MAX_REQUESTS);
        server.set_tcp_nodelay(true);
        // Not SO_REUSEPORT, httplib's default: two servers on one port would share its requests.
        server.set_socket_options(
            [](socket_t socket) { httplib::set_socket_opt(socket, SOL_SOCKET, SO_REUSEADDR, 1); });
        server.set_pre_routing_handler([this](const httplib::Request & request, httplib::Response & response) {
            return before(request, response);
        });
        server.set_error_handler(
            [this](const httplib::Request & request, httplib::Response & response) { explain(request, response); });
    }

    httplib::Server::HandlerResponse before(const httplib::Request & request, httplib::Response & response) {
        using enum httplib::Server::HandlerResponse;
        allow_local_pages(request, response);
        if (request.method == "OPTIONS") {  // a browser asks so, without a key
            response.status = 200;
            return Handled;
        }
        // Without a key, any page that the user visits could make requests, WebSockets above all, that it cannot read.
        const std::string origin = request.get_header_value("Origin");
        if (api_key.empty() && !origin.empty() && !is_local_origin(origin) && !is_own_origin(request, origin))
            return refuse(response, 403, fmt::format("pages of {} may not use this server", origin));
        const bool open = std::find(open_paths.begin(), open_paths.end(), request.path) != open_paths.end();
        if (api_key.empty() || open || same_secret(sent_key(request), api_key)) return Unhandled;
        return refuse(response, 401, "the key is missing or wrong (Authorization: Bearer KEY)");
    }

    httplib::Server::HandlerResponse refuse(httplib::Response & response, int status,
                                            const std::string & message) const {
        response.status = status;
        response.set_content(to_text(error_format(status, message)), "application/json; charset=utf-8");
        return httplib::Server::HandlerResponse::Handled;
    }

    // For answers that no handler gave: unknown paths, bodies that are too large, requests that are none.
    void explain(const httplib::Request & request, httplib::Response & response) const {
        if (!response.body.empty() || response.status < 400) return;
        const std::string message =
            response.status == 404 ? fmt::format("{} {}: there is no such path here", request.method, request.path)
            : response.status == 413
                ? fmt::format("the body is too large: at most {} MiB are taken", MAX_BODY_BYTES >> 20)
                : "the request is not one that this server understands";
        response.set_content(to_text(error_format(response.status, message)), "application/json; charset=utf-8");
    }

    AnswerPtr error_answer(int status, const std::string & message) const {
        return json_answer(error_format(status, message), status);
    }

    // The HTTP library must not see exceptions.
    AnswerPtr call(const Handler & handler, const Request & request) const {
        try {
            return handler(request);
        } catch (const HttpError & error) {
            return error_answer(error.status(), error.what());
        } catch (const Json::exception & error) {  // a member of another type than a handler expects
            const std::string text = error.what();
            return error_answer(400,
                                "the request holds a value of the wrong type: " + text.substr(text.find("] ") + 2));
        } catch (const std::invalid_argument & error) {  // from llama.cpp: a parameter's value
            return error_answer(400, error.what());
        } catch (const std::out_of_range & error) {  // a token that there is not
            return error_answer(400, fmt::format("the request holds a value that is out of range: {}", error.what()));
        } catch (const std::exception & error) {
            return error_answer(500, error.what());
        }
    }

    httplib::Server::Handler adapted(const Handler & handler) {
        return [this, handler](const httplib::Request & original, httplib::Response & response) {
            auto request = std::make_shared<OwnedRequest>(
                original, [this, gone = original.is_connection_closed] { return stopping || interrupted() || gone(); });
            std::shared_ptr<Answer> answer = call(handler, request->request);
            response.status = answer->status;
            for (const auto & [key, value] : answer->headers)
                response.set_header(key, value);
            if (answer->is_stream()) {
                send_pieces(std::move(request), std::move(answer), response);
            } else {
                send_whole(*answer, response);
            }
        };
    }
};

HttpFront::HttpFront(const Address & address, const std::string & api_key) : impl_(std::make_unique<Impl>()) {
    impl_->address = address;
    impl_->api_key = api_key;
    impl_->set_up();
}

HttpFront::~HttpFront() {
    stop();
}

void HttpFront::get(const std::string & path, const Handler & handler, Access access) {
    if (access == Access::anyone) impl_->open_paths.push_back(path);
    impl_->server.Get(path, impl_->adapted(handler));
}

void HttpFront::post(const std::string & path, const Handler & handler) {
    impl_->server.Post(path, impl_->adapted(handler));
}

void HttpFront::del(const std::string & path, const Handler & handler) {
    impl_->server.Delete(path, impl_->adapted(handler));
}

void HttpFront::websocket(const std::string & path, const WebSocketHandler & handler) {
    impl_->server.WebSocket(path, [this, handler](const httplib::Request &, httplib::ws::WebSocket & socket) {
        socket.set_read_timeout(READ_TIMEOUT_S);
        std::string message;
        if (socket.read(message) != httplib::ws::Text) return socket.close();
        const ClientListener listener(socket);
        const auto send = [&](const std::string & frame) { return socket.send(frame); };
        const auto should_stop = [&] { return impl_->stopping || interrupted() || listener.is_gone(); };
        try {
            handler(message, send, should_stop);
        } catch (const std::exception & error) {
            socket.send(to_text({{"error", error.what()}}));
        }
    });
}

void HttpFront::set_error_format(std::function<Json(int status, const std::string & message)> format) {
    impl_->error_format = std::move(format);
}

Address HttpFront::start(const std::string & option) {
    Address & address = impl_->address;
    httplib::Server & server = impl_->server;
    if (address.port == 0) {
        address.port = server.bind_to_any_port(address.host);
        if (address.port < 0) fail_to_bind({address.host, 0}, option);
    } else if (!server.bind_to_port(address.host, address.port)) {
        fail_to_bind(address, option);
    }
    impl_->listener = std::thread([&server] { server.listen_after_bind(); });
    server.wait_until_ready();
    return address;
}

void HttpFront::stop() {
    impl_->stopping = true;
    impl_->server.stop();
    if (impl_->listener.joinable()) impl_->listener.join();
}

}  // namespace shimmy::serve
