#include "base/error.h"
#include "serve/server.h"

#include <charconv>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shimmy::serve {

namespace {

constexpr int MAX_PORT = 65535;
constexpr int N_PORTS_TRIED = 100;

int parse_port(const std::string & text, const std::string & address) {
    int port = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > MAX_PORT)
        fail_usage("'{}' is no address: it needs a port from 0 (any free one) to {}, as in 127.0.0.1:{}", address,
                   MAX_PORT, DEFAULT_PORT);
    return port;
}

// A port that something listens on cannot be bound.
bool is_free(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool free = ::bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0;
    ::close(fd);
    return free;
}

}  // namespace

Address free_address() {
    for (int port = DEFAULT_PORT; port < DEFAULT_PORT + N_PORTS_TRIED; ++port) {
        if (is_free(port)) return {"127.0.0.1", port};
    }
    return {"127.0.0.1", 0};
}

bool Address::is_loopback() const {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string Address::text() const {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Address parse_address(const std::string & text) {
    const size_t colon = text.rfind(':');
    Address address;
    address.port = parse_port(colon == std::string::npos ? "" : text.substr(colon + 1), text);
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (!host.empty()) address.host = host;
    return address;
}

}  // namespace shimmy::serve
