#include "serve/listen/address.h"

#include "base/error.h"
#include "serve/listen/port_owner.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <optional>

namespace shimmy::serve {

namespace {

int parse_port(const std::string & text, const std::string & address) {
    int port = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > MAX_PORT)
        fail_usage("'{}' is no address: it needs a port from 0 (any free one) to {}, as in 127.0.0.1:{}", address,
                   MAX_PORT, DEFAULT_PORT);
    return port;
}

// Of "127.0.0.1" and of "::ffff:127.0.0.1".
std::optional<uint32_t> ipv4_of(const std::string & host) {
    in_addr v4{};
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr);
    in6_addr v6{};
    if (::inet_pton(AF_INET6, host.c_str(), &v6) != 1 || !IN6_IS_ADDR_V4MAPPED(&v6)) return std::nullopt;
    std::memcpy(&v4, &v6.s6_addr[12], sizeof(v4));
    return ntohl(v4.s_addr);
}

}  // namespace

Address free_address() {
    return {"127.0.0.1", next_free_port(DEFAULT_PORT - 1)};
}

bool is_ip_literal(const std::string & host) {
    in6_addr v6{};
    return ipv4_of(host).has_value() || ::inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

bool is_loopback_host(const std::string & host) {
    if (host == "localhost") return true;
    if (const auto v4 = ipv4_of(host)) return (*v4 >> 24) == 127;
    in6_addr v6{};
    return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
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
