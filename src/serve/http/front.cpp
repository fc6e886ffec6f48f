#include "serve/http/front.h"

#include "serve/http/connection.h"
#include "serve/http/log.h"
#include "serve/listen/bind.h"

#include <cpp-httplib/httplib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace shimmy::serve {

namespace {

constexpr size_t MAX_BODY_BYTES = size_t{32} << 20;  // a prompt of millions of tokens
constexpr int READ_TIMEOUT_S = 10;                   // between two pieces of a request
constexpr int WRITE_TIMEOUT_S = 60;                  // a client that reads nothing for so long is gone
constexpr size_t MAX_THREADS = 4096;                 // of connections, those that are just closed among them
// Without a request. Longer than clients and load balancers keep theirs (60 s is usual): one that this server closes
// while a request is on its way is a failure to its client.
constexpr int KEEP_ALIVE_S = 75;
// For connections to end by themselves when the server does; then they are cut off.
constexpr std::chrono::milliseconds WORKERS_END_LIMIT{1000};
constexpr size_t MAX_REQUESTS = 1'000'000;  // of one connection
constexpr const char * JSON_TYPE = "application/json; charset=utf-8";

// A thread per connection. httplib's own pool counts a thread as idle until it wakes, so that a burst of connections
// waits for those that send slowly.
class Connections : public httplib::TaskQueue {
public:
    bool enqueue(std::function<void()> serve) override {
        const std::lock_guard lock(mutex_);
        if (n_open_ == MAX_THREADS) return false;  // closes the connection
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

// Parts of a parameter that holds slashes: "name", "name+1", …
std::string part_name(const std::string & name, int i) {
    return i == 0 ? name : fmt::format("{}+{}", name, i);
}

// A path whose parameter has one part, two, …
std::vector<std::string> with_parts(const std::string & path) {
    constexpr int MAX_PARTS = 4;
    const size_t colon = path.find("/:");
    if (colon == std::string::npos) return {path};
    const size_t end = std::min(path.find('/', colon + 1), path.size());
    const std::string parameter = path.substr(colon, end - colon);
    std::vector<std::string> paths;
    std::string parts;
    for (int i = 0; i < MAX_PARTS; ++i) {
        parts += part_name(parameter, i);
        paths.push_back(path.substr(0, colon) + parts + path.substr(end));
    }
    return paths;
}

// Counts the requests that are being answered.
class Running {
public:
    explicit Running(std::atomic<int> & count) : count_(count) { ++count_; }
    ~Running() { --count_; }
    Running(const Running &) = delete;
    Running & operator=(const Running &) = delete;

private:
    std::atomic<int> & count_;
};

// A request, with what it holds until its answer is sent.
struct OwnedRequest {
    OwnedRequest(const httplib::Request & original, std::atomic<int> & n_running, StopCheck should_stop)
        : running(n_running), is_http_1_0(original.version == "HTTP/1.0") {
        request.path = original.path;
        request.takes_gzip = takes_gzip(original.get_header_value("Accept-Encoding"));
        request.should_stop = std::move(should_stop);
        for (const auto & [key, value] : original.params)
            request.params[key] = value;
        for (const auto & [key, value] : original.path_params) {
            if (key.find('+') != std::string::npos) continue;  // a later part of a parameter
            std::string & whole = request.params[key];
            whole = value;
            for (int i = 1; original.path_params.contains(part_name(key, i)); ++i)
                whole += "/" + original.path_params.at(part_name(key, i));
        }
    }
    Running running;
    bool is_http_1_0;
    Budget::Share body_share;
    Request request;
};

void send_parts(const std::shared_ptr<OwnedRequest> & request, std::shared_ptr<Answer> answer,
                httplib::Response & response) {
    response.set_header("X-Accel-Buffering", "no");  // nginx would hold pieces back
    response.set_header("Cache-Control", "no-store");
    const auto provider = [request, answer](size_t, httplib::DataSink & sink) {
        std::string part;
        bool more = false;
        try {
            more = answer->next(part);
        } catch (const ClientGone &) {
            return false;
        } catch (const std::exception & error) {  // an answer tells its errors itself
            log("{}: {}", request->request.path, error.what());
            return false;
        }
        if (!part.empty() && !sink.write(part.data(), part.size())) return false;
        if (!more) sink.done();
        return true;
    };
    if (request->is_http_1_0) {  // knows no parts: the end of the connection is the end of the answer
        response.set_header("Connection", "close");
        response.set_content_provider(answer->content_type, provider);
        return;
    }
    response.set_chunked_content_provider(answer->content_type, provider);
}

// Reads what a WebSocket's client sends while it is answered: nothing but its farewell is expected.
class ClientListener {
public:
    ClientListener(httplib::ws::WebSocket & socket, const std::atomic<bool> & stopping)
        : socket_(socket), stopping_(stopping) {
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
        patience_end_ = Clock::now() + (stopping_ ? Clock::duration::zero() : Clock::duration(PATIENCE));
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

    bool is_over() const { return Clock::now() > patience_end_.load() || stopping_; }

    httplib::ws::WebSocket & socket_;
    const std::atomic<bool> & stopping_;
    std::atomic<Clock::time_point> patience_end_ = Clock::time_point::max();
    std::atomic<bool> gone_ = false;
    std::thread thread_;
};

}  // namespace

struct HttpFront::Impl {
    Address address;
    Access access;
    Budget & budget;
    std::vector<std::string> open_paths;
    std::map<std::string, ErrorFormat> error_formats;  // by prefix of the path
    std::atomic<bool> draining = false;
    std::atomic<bool> stopping = false;
    std::atomic<int> n_running = 0;
    StrictServer server;
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
        allow_pages(request, response);
        if (request.method == "OPTIONS") {  // a browser asks so, without a key
            response.status = 200;
            return Handled;
        }
        const bool open = std::find(open_paths.begin(), open_paths.end(), request.path) != open_paths.end();
        const Asker asker{request.get_header_value("Host"), request.get_header_value("Origin"),
                          request.get_header_value("Authorization"), request.get_header_value("X-Api-Key")};
        if (const auto refusal = access.check(asker, open)) {
            if (refusal->status == 401) response.set_header("WWW-Authenticate", "Bearer");
            tell_error(request.path, HttpError(refusal->status, refusal->message), response);
            return Handled;
        }
        if (draining) {
            response.set_header("Connection", "close");
            tell_error(request.path, HttpError(503, "the server is shutting down"), response);
            return Handled;
        }
        return Unhandled;
    }

    void allow_pages(const httplib::Request & request, httplib::Response & response) const {
        const std::string origin = access.allowed_origin(request.get_header_value("Origin"));
        if (origin.empty()) return;
        response.set_header("Access-Control-Allow-Origin", origin);
        response.set_header("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
        response.set_header("Access-Control-Allow-Headers", "*, Authorization");
        response.set_header("Vary", "Origin");
    }

    Json error_document_of(const std::string & path, const HttpError & error) const {
        const ErrorFormat * format = nullptr;
        for (const auto & [prefix, one] : error_formats) {  // in order: a longer prefix comes after a shorter one
            if (path.starts_with(prefix)) format = &one;
        }
        return format == nullptr ? Json{{"error", error.document()}} : (*format)(error);
    }

    void tell_error(const std::string & path, const HttpError & error, httplib::Response & response) const {
        response.status = error.status();
        if (error.retry_after.count() > 0)
            response.set_header("Retry-After", std::to_string(error.retry_after.count()));
        response.set_content(to_text(error_document_of(path, error)), JSON_TYPE);
    }

    // For answers that no handler gave: unknown paths, bodies that are too large, requests that are none.
    void explain(const httplib::Request & request, httplib::Response & response) const {
        if (!response.body.empty() || response.status < 400) return;
        if (response.status == 400) response.set_header("Connection", "close");
        const std::string message =
            response.status == 404 ? fmt::format("{} {}: there is no such path here", request.method, request.path)
            : response.status == 413
                ? fmt::format("the body is too large: at most {} MiB are taken", MAX_BODY_BYTES >> 20)
                : "the request is not one that this server understands";
        tell_error(request.path, HttpError(response.status, message), response);
    }

    std::shared_ptr<OwnedRequest> own(const httplib::Request & original) {
        return std::make_shared<OwnedRequest>(original, n_running, [this, gone = original.is_connection_closed] {
            if (gone()) return Stop::client_gone;
            return stopping ? Stop::shutting_down : Stop::no;
        });
    }

    void respond(const Handler & handler, const std::shared_ptr<OwnedRequest> & request,
                 httplib::Response & response) const {
        try {
            auto answer = std::make_shared<Answer>(handler(request->request));
            response.status = answer->status;
            for (const auto & [key, value] : answer->headers)
                response.set_header(key, value);
            if (answer->next) return send_parts(request, std::move(answer), response);
            response.set_content(std::move(answer->data), answer->content_type);
        } catch (const ClientGone &) {
            response.status = 499;  // nobody reads it
        } catch (const std::exception & error) {
            tell_error(request->request.path, to_http_error(error), response);
        }
    }

    // False where the response says why.
    bool read_body(const httplib::Request & original, const httplib::ContentReader & reader, OwnedRequest & request,
                   httplib::Response & response) {
        response.set_header("Connection", "close");  // what is left of a body that was not read is no request
        if (original.is_multipart_form_data()) {
            tell_error(original.path, HttpError(415, "the body must be JSON, not a form"), response);
            return false;
        }
        request.body_share = Budget::Share(budget);
        request.request.body.reserve(std::min<size_t>(original.get_header_value_u64("Content-Length"), MAX_BODY_BYTES));
        bool full = false;
        const bool whole = reader([&](const char * bytes, size_t n) {
            full = full || !request.body_share.take(n);
            if (!full) request.request.body.append(bytes, n);
            return !full;
        });
        if (full) {
            HttpError error(503, "too many large requests are waiting");
            error.retry_after = std::chrono::seconds(1);
            tell_error(original.path, error, response);
            return false;
        }
        if (!whole) {
            if (response.status < 400) response.status = 400;
            return false;
        }
        response.headers.erase("Connection");
        return true;
    }
};

HttpFront::HttpFront(const Address & address, Access access, Budget & budget)
    : impl_(new Impl{address, std::move(access), budget, {}, {}, false, false, 0, {}, {}}) {
    impl_->set_up();
}

HttpFront::~HttpFront() {
    stop();
}

void HttpFront::get(const std::string & path, const Handler & handler, Needs needs) {
    if (needs == Needs::nothing) impl_->open_paths.push_back(path);
    for (const std::string & one : with_parts(path)) {
        impl_->server.Get(
            one, [impl = impl_.get(), handler](const httplib::Request & original, httplib::Response & response) {
                impl->respond(handler, impl->own(original), response);
            });
    }
}

void HttpFront::post(const std::string & path, const Handler & handler) {
    for (const std::string & one : with_parts(path)) {
        impl_->server.Post(
            one, [impl = impl_.get(), handler](const httplib::Request & original, httplib::Response & response,
                                               const httplib::ContentReader & reader) {
                const std::shared_ptr<OwnedRequest> request = impl->own(original);
                if (impl->read_body(original, reader, *request, response)) impl->respond(handler, request, response);
            });
    }
}

void HttpFront::del(const std::string & path, const Handler & handler) {
    for (const std::string & one : with_parts(path)) {
        impl_->server.Delete(
            one, [impl = impl_.get(), handler](const httplib::Request & original, httplib::Response & response,
                                               const httplib::ContentReader & reader) {
                const std::shared_ptr<OwnedRequest> request = impl->own(original);
                if (impl->read_body(original, reader, *request, response)) impl->respond(handler, request, response);
            });
    }
}

void HttpFront::websocket(const std::string & path, const WebSocketHandler & handler) {
    impl_->server.WebSocket(path, [this, handler](const httplib::Request &, httplib::ws::WebSocket & socket) {
        const Running running(impl_->n_running);
        socket.set_read_timeout(READ_TIMEOUT_S);
        std::string message;
        if (socket.read(message) != httplib::ws::Text) return socket.close();
        const ClientListener listener(socket, impl_->stopping);
        const auto send = [&](const std::string & frame) { return socket.send(frame); };
        const auto should_stop = [&] {
            if (listener.is_gone()) return Stop::client_gone;
            return impl_->stopping ? Stop::shutting_down : Stop::no;
        };
        try {
            handler(message, send, should_stop);
        } catch (const ClientGone &) {
        } catch (const std::exception & error) {
            socket.send(to_text({{"error", error.what()}}));
        }
    });
}

void HttpFront::set_error_format(const std::string & prefix, ErrorFormat format) {
    impl_->error_formats[prefix] = std::move(format);
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

void HttpFront::drain() {
    impl_->draining = true;
}

int HttpFront::n_running() const {
    return impl_->n_running;
}

void HttpFront::cancel() {
    impl_->stopping = true;
}

void HttpFront::stop() {
    impl_->draining = true;
    impl_->stopping = true;
    impl_->server.stop();
    const auto end = std::chrono::steady_clock::now() + WORKERS_END_LIMIT;
    while (impl_->server.n_open() > 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    impl_->server.cut_off();
    if (impl_->listener.joinable()) impl_->listener.join();
}

}  // namespace shimmy::serve
