// HTTP requests to the Hub, through libcurl.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace shimmy::hub {

struct ByteRange {
    uint64_t first = 0;
    uint64_t n_bytes = 0;
};

struct Request {
    std::string url;
    std::string token;  // sent as a bearer token to the URL's own host, never to where it redirects; empty: none
    std::optional<ByteRange> range;
};

struct Response {
    long status = 0;
    std::string body;
    uint64_t total_bytes = 0;  // of a 206: the size of the whole file
    std::string error_code;    // X-Error-Code of the Hub: "RepoNotFound", "GatedRepo"
};

// GET, following redirects. Throws Error for what is no HTTP answer (no connection, a broken transfer), and if more is
// sent than the range that was asked for.
Response get(const Request & request);

}  // namespace shimmy::hub
