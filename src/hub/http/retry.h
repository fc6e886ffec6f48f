// Requests that are tried again: a busy server, a connection that broke.
#pragma once

#include "base/http/http.h"

#include <chrono>
#include <functional>
#include <string>

namespace shimmy::hub {

using http::ByteRange;
using http::display_url;
using http::encoded_name;
using http::encoded_path;
using http::FileSlice;
using http::Redirects;
using http::Request;
using http::Response;
using http::send;
using http::TransportError;
using http::Unreachable;

// Told about every wait, in a line for people.
using Note = std::function<void(const std::string & line)>;

// The waits of one request: 0.5 s, doubled up to 8 s, five of them; longer if the server says when to come back
// (Retry-After, or RateLimit of the Hub).
class Backoff {
public:
    static constexpr int MAX_WAITS = 5;

    Backoff(std::string what, Note note, int max_waits = MAX_WAITS)
        : what_(std::move(what)), note_(std::move(note)), max_waits_(max_waits) {}

    // Waits if another try may help, and returns whether it may: the answer is 408, 429, 500, 502, 503 or 504, or S3's
    // 400 RequestTimeout, and tries are left. Where no server was ever reached, none helps. Throws Interrupted.
    bool again(const Response & response);
    bool again(const TransportError & error);

    // The next failure is a first one: something was achieved since the last.
    void reset() { n_waits_ = 0; }

private:
    bool wait(std::chrono::milliseconds asked, const std::string & reason);

    std::string what_;
    Note note_;
    int max_waits_;
    int n_waits_ = 0;
};

// send(), tried again. The last answer is returned, and the last TransportError thrown, when tries are used up. Not for
// requests with `on_body`, which would get the beginning twice.
Response send_retrying(const Request & request, const std::string & what, const Note & note,
                       int max_waits = Backoff::MAX_WAITS);

}  // namespace shimmy::hub
