// What is said on stderr while files are read and sent; may be called from several threads.
#pragma once

#include "base/files.h"
#include "base/process/progress.h"

#include <memory>
#include <mutex>
#include <string>

namespace shimmy::publish {

class Reporter {
public:
    explicit Reporter(bool quiet) : quiet_(quiet) {}

    // A bar with rate and time left, until the next one or the end of the program.
    ByteProgress bar(const std::string & label);
    void end_bar();

    // A line that does not disturb the bar. Shown even if quiet: it says why nothing seems to happen.
    void note(const std::string & line);

private:
    bool quiet_;
    std::mutex mutex_;
    std::unique_ptr<Progress> progress_;
};

}  // namespace shimmy::publish
