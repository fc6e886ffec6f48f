// A client of OpenAI's API that measures what a client sees.
#pragma once

#include "base/json.h"
#include "lab/http/answer_events.h"

#include <chrono>
#include <functional>
#include <string>

namespace shimmy::lab {

struct HttpAnswer {
    std::string error;       // why there is no answer; empty if there is
    bool stopped = false;    // by `stop`
    bool timed_out = false;  // after `at_most`; an error, too
    double ttft_ms = 0.0;    // request to first text; not streamed: to the whole answer
    double total_ms = 0.0;
    AnswerEvents events;  // streamed
    Json document;        // not streamed
};

// One connection per thread, kept alive between requests.
class HttpClient {
public:
    // `base_url`: "http://127.0.0.1:1234". `api_key`: sent as a bearer token; empty: none.
    explicit HttpClient(std::string base_url, std::string api_key = {})
        : base_url_(std::move(base_url)), api_key_(std::move(api_key)) {}

    // POSTs `body` and reads the answer, as events if body["stream"] is true. `stop`, asked now and then, ends it;
    // `at_most` is the time that the whole answer may take; 0: no limit.
    HttpAnswer post(const std::string & path, const Json & body, const std::function<bool()> & stop = {},
                    std::chrono::milliseconds at_most = {}) const;

    // GETs a JSON document. Throws Error.
    Json get(const std::string & path) const;

private:
    std::string base_url_;
    std::string api_key_;
};

}  // namespace shimmy::lab
