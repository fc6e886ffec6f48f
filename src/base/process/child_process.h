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

    // What its stdout says up to the next line end, or the next `delimiter`, without it; nullopt if it ended or that
    // did not come within `timeout`. Throws Interrupted.
    std::optional<std::string> read_line(std::chrono::milliseconds timeout) { return read_until('\n', timeout); }
    std::optional<std::string> read_until(char delimiter, std::chrono::milliseconds timeout);

    // What it wrote to stderr so far.
    std::string err() const;

    // The most RAM it has held at once; 0 if it ended.
    uint64_t peak_rss_bytes() const;

    pid_t pid() const { return pid_; }

    bool has_ended();

    // SIGTERM, and SIGKILL after `grace`. Returns its exit code, 128 + signal number if a signal ended it.
    int stop(std::chrono::milliseconds grace);

private:
    int out_ = -1;  // read end of its stdout
    int err_ = -1;  // file that its stderr goes to
    pid_t pid_ = -1;
    std::optional<int> exit_code_;
    std::string buffer_;
};

}  // namespace shimmy
