// An HTTP server of the test's own process on loopback: the test says what it answers and sees what came.
#pragma once

#include "base/json.h"

#include "httplib.h"

#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace shimmy {

class LocalServer {
public:
    struct Request {
        std::string method;
        std::string path;  // with its query
        std::string body;
        httplib::Headers headers;
        std::string header(const std::string & name) const {
            const auto found = headers.find(name);
            return found == headers.end() ? "" : found->second;
        }
    };
    // Called on the server's threads.
    using Handler = std::function<void(const Request & request, httplib::Response & response)>;

    explicit LocalServer(Handler handler) : handler_(std::move(handler)) {
        const auto handle = [this](const httplib::Request & from, httplib::Response & response) {
            const Request request{from.method, from.target, from.body, from.headers};
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(request);
            }
            const_cast<httplib::Request &>(from).ranges.clear();  // the test writes what a range brings
            handler_(request, response);
        };
        server_.Get(".*", handle).Post(".*", handle).Put(".*", handle);
        port_ = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        server_.wait_until_ready();
    }
    ~LocalServer() {
        server_.stop();
        thread_.join();
    }
    LocalServer(const LocalServer &) = delete;
    LocalServer & operator=(const LocalServer &) = delete;

    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    std::string url() const { return "http://" + address(); }

    std::vector<Request> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

private:
    Handler handler_;
    httplib::Server server_;
    int port_ = 0;
    std::thread thread_;
    mutable std::mutex mutex_;
    std::vector<Request> requests_;
};

inline void answer_json(httplib::Response & response, const Json & body, int status = 200) {
    response.status = status;
    response.set_content(body.dump(), "application/json");
}

// Pieces one after the other, `pause` before each but the first.
inline void answer_in_pieces(httplib::Response & response, std::vector<std::string> pieces,
                             std::chrono::milliseconds pause) {
    response.set_chunked_content_provider("text/event-stream",
                                          [pieces = std::move(pieces), pause](size_t, httplib::DataSink & sink) {
                                              for (size_t i = 0; i < pieces.size(); ++i) {
                                                  if (i > 0) std::this_thread::sleep_for(pause);
                                                  if (!sink.write(pieces[i].data(), pieces[i].size())) return false;
                                              }
                                              sink.done();
                                              return true;
                                          });
}

}  // namespace shimmy
