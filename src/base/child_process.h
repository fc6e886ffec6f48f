// A program that runs beside this one: a server under measurement.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy {

class ChildProcess {
public:
    // Throws Error if it cannot be started.
    explicit ChildProcess(const std::vector<std::string> & argv);
    ~ChildProcess();  // kills it if it still runs
    ChildProcess(const ChildProcess &) = delete;
    ChildProcess & operator=(const ChildProcess &) = delete;

    // The next line of its stdout; nullopt if it ended or said nothing within `timeout`. Throws Interrupted.
    std::optional<std::string> read_line(std::chrono::milliseconds timeout);

    // What it wrote to stderr so far.
    std::string err() const;

    // The most RAM it has held at once; 0 if it ended.
    uint64_t peak_rss_bytes() const;

    // SIGTERM, and SIGKILL after `grace`. Returns its exit code, 128 + signal number if a signal ended it.
    int stop(std::chrono::milliseconds grace);

private:
    bool ended();

    int out_ = -1;  // read end of its stdout
    int err_ = -1;  // file that its stderr goes to
    pid_t pid_ = -1;
    std::optional<int> exit_code_;
    std::string buffer_;
};

}  // namespace shimmy
