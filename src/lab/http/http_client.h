// A client of OpenAI's API that measures what a client sees.
#pragma once

#include "base/json.h"
#include "lab/http/sse.h"

#include <functional>
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

// One connection per thread, kept alive between requests.
class HttpClient {
public:
    // `base_url`: "http://127.0.0.1:1234"
    explicit HttpClient(std::string base_url) : base_url_(std::move(base_url)) {}

    // POSTs `body` and reads the answer, as events if body["stream"] is true. `stop`, asked now and then, ends it.
    HttpAnswer post(const std::string & path, const Json & body, const std::function<bool()> & stop = {}) const;

    // GETs a JSON document. Throws Error.
    Json get(const std::string & path) const;

private:
    std::string base_url_;
};

}  // namespace shimmy::lab
