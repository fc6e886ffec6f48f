// llama.cpp's log: silent by default, and kept so that an error can say why.
#pragma once

#include <string>
#include <vector>

namespace shimmy::engine {

// 0: nothing, 1: warnings and errors, 2: everything, to stderr.
void set_log_verbosity(int verbosity);

// Error lines that llama.cpp logs during the life of this object, so that a failed call can be explained. An assertion
// of llama.cpp that fails meanwhile on this thread makes the call fail, or throw Error, in place of ending the process.
// Lives and dies on one thread.
class LogCapture {
public:
    LogCapture();
    ~LogCapture();
    LogCapture(const LogCapture &) = delete;
    LogCapture & operator=(const LogCapture &) = delete;

    // The first error line, without llama.cpp's "function: " prefixes; `fallback` if there is none.
    std::string reason(const std::string & fallback) const;

private:
    std::vector<std::string> lines_;  // nothing is allocated before something is logged
};

}  // namespace shimmy::engine
