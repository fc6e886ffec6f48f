// libFuzzer entry: any bytes as what a client sends on one connection. The server must answer and close, in bounded
// time; what is refused ends the connection, so that nothing behind it is a request.
#include "serve/http/connection.h"
#include "serve/http/head.h"

#include "complain.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using shimmy::fuzz::complain;

class FuzzedServer : public shimmy::serve::StrictServer {
public:
    FuzzedServer() {
        set_payload_max_length(1 << 16);
        set_read_timeout(5);
        set_keep_alive_timeout(0);
        set_keep_alive_max_count(100);
        Get("/", [](const httplib::Request &, httplib::Response &) {});
        Get("/v1/models/:name", [](const httplib::Request &, httplib::Response &) {});
        Post("/", [](const httplib::Request &, httplib::Response & response, const httplib::ContentReader & reader) {
            std::string body;
            const bool whole = reader([&](const char * bytes, size_t n) {
                body.append(bytes, n);
                return true;
            });
            if (!whole) response.set_header("Connection", "close");
            if (!whole && response.status < 400) response.status = 400;
        });
        set_error_handler([](const httplib::Request &, httplib::Response & response) {
            if (response.status == 400) response.set_header("Connection", "close");
        });
    }
    void serve(int socket) { process_and_close_socket(socket); }
    int keep_port() { return bind_to_any_port("127.0.0.1"); }  // a server without one takes no requests
};

std::string received(int fd) {
    std::string all;
    std::array<char, 4096> bytes;
    for (ssize_t n = 0; (n = ::recv(fd, bytes.data(), bytes.size(), 0)) > 0;)
        all.append(bytes.data(), static_cast<size_t>(n));
    return all;
}

std::vector<int> statuses_of(const std::string & answers) {
    constexpr std::string_view VERSION = "HTTP/1.1 ";
    std::vector<int> statuses;
    for (size_t at = 0; (at = answers.find(VERSION, at)) != std::string::npos; at += VERSION.size()) {
        const int status = std::atoi(answers.c_str() + at + VERSION.size());
        if (status > 100) statuses.push_back(status);
    }
    return statuses;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    static FuzzedServer server;
    static const int port = server.keep_port();
    if (port < 0 || n_bytes > 60'000) return 0;
    const std::string bytes(reinterpret_cast<const char *>(data), n_bytes);
    (void)shimmy::serve::head_fault(bytes);
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) complain("socketpair", "none left");
    if (::send(ends[0], data, n_bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(n_bytes)) complain("send", "too much");
    ::shutdown(ends[0], SHUT_WR);
    server.serve(ends[1]);
    const std::vector<int> statuses = statuses_of(received(ends[0]));
    ::close(ends[0]);
    for (size_t i = 0; i + 1 < statuses.size(); ++i) {
        if (statuses[i] == 400) complain("an answer after a request that was refused", bytes);
    }
    return 0;
}
