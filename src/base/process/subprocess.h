// Runs another program and waits for it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace shimmy {

struct ProcessResult {
    int exit_code = 0;  // 128 + signal number if a signal ended it
    bool timed_out = false;
    std::string out;  // stdout
    std::string err;  // stderr
    bool ok() const { return exit_code == 0 && !timed_out; }
};

// `argv[0]` is a path or a name on PATH. Throws Error if it cannot be started, and Interrupted (after ending the
// child) on Ctrl-C. A timeout of zero means none.
ProcessResult run_process(const std::vector<std::string> & argv, std::chrono::milliseconds timeout = {});

// How a process failed: "exit code 2: LAST LINE OF STDERR", "ended by signal 9".
std::string failure_of(const ProcessResult & process);

// Path of the running program.
std::string self_path();

}  // namespace shimmy
