// Internal to serve/: how long a request of a model waited and what its answer took: a line on stderr (with -v), and
// figures in the answer of a request that asks for them ("timings": true).
#pragma once

#include "serve/http.h"

#include <chrono>
#include <string>

namespace shimmy::serve {

class RequestLog {
public:
    using Clock = std::chrono::steady_clock;

    // `accepted`: when the request was there whole. `enabled`: write the line. `tell`: add the figures to the answer.
    RequestLog(bool enabled, bool tell, std::string path, std::string model, Clock::time_point accepted);
    // Writes the line.
    ~RequestLog();
    RequestLog(const RequestLog &) = delete;
    RequestLog & operator=(const RequestLog &) = delete;

    // An answer as llama.cpp's handlers give it: whole JSON, or a part of a stream. Adds "queue_ms" and "ttft_ms" to
    // its "timings" for a request that wants them.
    void saw_whole(std::string & document);
    void saw_part(std::string & events);

private:
    void read_timings(std::string & text, bool streamed);
    double ms() const;

    bool enabled_;
    bool tell_;
    std::string path_;
    std::string model_;
    Clock::time_point accepted_;
    double first_part_ms_ = 0.0;
    double ttft_ms_ = 0.0;
    Json timings_;  // null: none came, as for errors and answers that were given up
};

}  // namespace shimmy::serve
