// Where the server listens.
#pragma once

#include <string>

namespace shimmy::serve {

inline constexpr int DEFAULT_PORT = 11435;
inline constexpr int OLLAMA_PORT = 11434;

// "localhost", or a literal address of loopback; a name that resolves to one is not.
bool is_loopback_host(const std::string & host);
// An IPv4 or IPv6 address, not a name.
bool is_ip_literal(const std::string & host);

struct Address {
    std::string host = "127.0.0.1";
    int port = DEFAULT_PORT;  // 0: any free one

    bool is_loopback() const { return is_loopback_host(host); }
    std::string text() const;  // "127.0.0.1:11435", "[::1]:11435"
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080" (loopback). Throws UsageError.
Address parse_address(const std::string & text);

// The first free port from DEFAULT_PORT on, or else any.
Address free_address();

}  // namespace shimmy::serve
