// Internal to serve/: one line on stderr per answer of a model (with -v): how long it waited, and what it took.
#pragma once

#include <chrono>
#include <string>

namespace shimmy::serve {

class RequestLog {
public:
    // Starts the clock. Not `enabled`: it does nothing.
    RequestLog(bool enabled, std::string path, std::string model);
    // Writes the line.
    ~RequestLog();
    RequestLog(const RequestLog &) = delete;
    RequestLog & operator=(const RequestLog &) = delete;

    // A part of the answer as llama.cpp's handlers give it: whole JSON, or events of a stream.
    void saw(const std::string & part);

private:
    bool enabled_;
    std::string path_;
    std::string model_;
    std::chrono::steady_clock::time_point start_;
    size_t n_parts_ = 0;
    double first_part_ms_ = 0.0;
    std::string timings_;  // JSON object; empty: none came, as for errors and answers that were given up
};

}  // namespace shimmy::serve
