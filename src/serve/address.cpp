#include "base/error.h"
#include "serve/port_owner.h"
#include "serve/server.h"

#include <charconv>

namespace shimmy::serve {

namespace {

constexpr int MAX_PORT = 65535;

int parse_port(const std::string & text, const std::string & address) {
    int port = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > MAX_PORT)
        fail_usage("'{}' is no address: it needs a port from 0 (any free one) to {}, as in 127.0.0.1:{}", address,
                   MAX_PORT, DEFAULT_PORT);
    return port;
}

}  // namespace

Address free_address() {
    return {"127.0.0.1", next_free_port(DEFAULT_PORT - 1)};
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
