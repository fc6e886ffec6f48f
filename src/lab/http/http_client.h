// A client of OpenAI's API over libcurl that measures what a client sees.
#pragma once

#include "base/json.h"
#include "lab/http/sse.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace shimmy::lab {

struct HttpAnswer {
    std::string error;     // why there is no answer; empty if there is
    bool stopped = false;  // by `stop`
    double ttft_ms = 0.0;  // request to first text; not streamed: to the whole answer
    double total_ms = 0.0;
    SseReader events;  // streamed
    Json document;     // not streamed
};

// One connection, kept alive between requests. Not thread-safe: one per thread.
class HttpClient {
public:
    // `base_url`: "http://127.0.0.1:1234"
    explicit HttpClient(std::string base_url);
    ~HttpClient();
    HttpClient(const HttpClient &) = delete;
    HttpClient & operator=(const HttpClient &) = delete;

    // POSTs `body` and reads the answer, as events if body["stream"] is true. `stop`, asked now and then, ends it.
    HttpAnswer post(const std::string & path, const Json & body, const std::function<bool()> & stop = {});

    // GETs a JSON document. Throws Error.
    Json get(const std::string & path);

private:
    struct Handle;
    std::string base_url_;
    std::unique_ptr<Handle> handle_;
};

}  // namespace shimmy::lab
