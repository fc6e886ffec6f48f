// Runs a program that is not trusted: text that a model wrote.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace shimmy::check {

struct SandboxLimits {
    std::chrono::milliseconds time{5000};         // wall clock
    uint64_t memory_bytes = uint64_t{512} << 20;  // address space
    uint64_t output_bytes = uint64_t{1} << 20;    // stdout and stderr together
    // Files and folders that it may read, with all below; more only where the kernel has no Landlock.
    std::vector<std::filesystem::path> readable;
    bool hides_paths = true;  // it does not learn either whether another path exists
};

struct SandboxResult {
    bool timed_out = false;
    bool too_much_output = false;
    int exit_code = 0;  // 128 + signal number if a signal ended it
    std::string out;
    std::string err;
};

// Starts `argv[0]`, a path, with `input` as its stdin. It can compute, read and write to its two outputs; the kernel
// refuses everything else with EPERM: a system call is allowed only if it is listed (seccomp), so there are no sockets,
// no files opened for writing, made, renamed or removed, no processes or threads, no signals to others, no new
// privileges. Reading is limited by Landlock, and other paths look alike whether they exist or not. It is killed at a
// limit, and dies with this process. Throws Error if this machine cannot confine it, and then starts nothing.
SandboxResult run_sandboxed(const std::vector<std::string> & argv, const std::string & input,
                            const SandboxLimits & limits);

}  // namespace shimmy::check
