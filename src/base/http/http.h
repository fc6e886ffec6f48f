// HTTP requests, through libcurl: to the Hub and its storage, and to our own server. Certificates are verified.
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::http {

struct ByteRange {
    uint64_t first = 0;
    uint64_t n_bytes = 0;  // 0: to the end of the file
};

// A part of a file as the body of a request: read as it is sent.
struct FileSlice {
    fs::path file;
    uint64_t first = 0;
    uint64_t n_bytes = 0;
    Digest * hash = nullptr;  // of the bytes that are sent; begins anew with the body
};

enum class Redirects {
    follow,
    within_host,  // as the Hub answers for a repository that was renamed; one to another host is the answer
};

struct Request {
    std::string method = "GET";
    std::string url;
    // Sent as a bearer token to the URL's own scheme, host and port, never to another that it redirects to; empty:
    // none.
    std::string token = {};
    std::vector<std::string> headers = {};  // "Accept: application/json"
    std::optional<ByteRange> range = {};
    std::string body = {};
    std::optional<FileSlice> file = {};                  // in place of `body`
    std::function<void(std::string_view)> on_body = {};  // gets the body of a 2xx in place of Response::body
    std::function<void(uint64_t n_bytes)> on_sent = {};  // bytes of the body sent so far; on the calling thread
    std::function<bool()> stop = {};                     // asked now and then; true ends the transfer
    Redirects redirects = Redirects::follow;
    bool direct = false;                   // without the proxy that the environment may name: for loopback
    std::chrono::seconds patience{60};     // without a byte in either direction
    std::chrono::milliseconds at_most{0};  // for the whole exchange; 0: no limit
    // On a connection of its own: libcurl sends a request again by itself if one that it kept is closed without an
    // answer, which would do twice what must be done once.
    bool only_once = false;
};

struct Response {
    long status = 0;
    std::string url;                             // that answered, after redirects
    std::map<std::string, std::string> headers;  // of the last answer; names in lower case
    std::string body;
    bool stopped = false;    // by Request::stop: the rest is what had come by then
    bool timed_out = false;  // by Request::at_most: likewise

    bool ok() const { return status >= 200 && status < 300; }
    std::string header(const std::string & lower_case_name) const;  // "" if there is none
    std::string error_code() const { return header("x-error-code"); }
    uint64_t total_bytes() const;  // of a 206: the size of the whole file; else 0
};

// What is no HTTP answer, and may be one at the next try: no connection, a transfer that broke.
class TransportError : public Error {
public:
    using Error::Error;
};

// No server at all was found, and none has answered this process before: another try right away would not find one.
class Unreachable : public TransportError {
public:
    using TransportError::TransportError;
};

// Throws TransportError; Error for what another try does not mend (a certificate, a URL, more bytes than were asked
// for, a file that became shorter while it was sent); Interrupted.
Response send(const Request & request);

// Without its query, which in a storage URL is a signature that must not be shown.
std::string display_url(const std::string & url);

// For a path in a URL: '/' stays. `encoded_name` encodes it too, as in "refs%2Fpr%2F1".
std::string encoded_path(const std::string & path);
std::string encoded_name(const std::string & name);

}  // namespace shimmy::http
