#include "base/process/subprocess.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "base/process/spawn.h"
#include "base/process/uninterrupted.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

namespace shimmy {

namespace {

constexpr int POLL_MS = 50;  // how soon a timeout or Ctrl-C is noticed

struct Pipe {
    std::array<int, 2> fd{-1, -1};  // [0] read end, [1] write end
    Pipe() {
        if (::pipe2(fd.data(), O_CLOEXEC) != 0) fail("pipe: {}", std::strerror(errno));
    }
    ~Pipe() {
        close_end(0);
        close_end(1);
    }
    Pipe(const Pipe &) = delete;
    Pipe & operator=(const Pipe &) = delete;
    void close_end(size_t end) {
        if (fd[end] >= 0) ::close(fd[end]);
        fd[end] = -1;
    }
};

// Reads what is there; closes the end at end-of-file.
void drain(Pipe & pipe, std::string & text) {
    std::array<char, 16384> buffer;
    const ssize_t n = uninterrupted([&] { return ::read(pipe.fd[0], buffer.data(), buffer.size()); });
    if (n <= 0) return pipe.close_end(0);
    text.append(buffer.data(), static_cast<size_t>(n));
}

}  // namespace

ProcessResult run_process(const std::vector<std::string> & argv, std::chrono::milliseconds timeout) {
    Pipe out;
    Pipe err;
    const pid_t pid = spawn(argv, out.fd[1], err.fd[1]);
    out.close_end(1);
    err.close_end(1);

    ProcessResult result;
    const auto start = std::chrono::steady_clock::now();
    while (out.fd[0] >= 0 || err.fd[0] >= 0) {
        std::array<pollfd, 2> ends{{{out.fd[0], POLLIN, 0}, {err.fd[0], POLLIN, 0}}};
        ::poll(ends.data(), ends.size(), POLL_MS);
        if (ends[0].revents != 0) drain(out, result.out);
        if (ends[1].revents != 0) drain(err, result.err);
        const bool late = timeout.count() > 0 && std::chrono::steady_clock::now() - start > timeout;
        if (late || interrupted()) {
            result.timed_out = late;
            ::kill(pid, SIGKILL);
            break;
        }
    }
    result.exit_code = wait_exit_code(pid);
    check_interrupted();
    return result;
}

namespace {

std::string last_line(const std::string & text) {
    const size_t end = text.find_last_not_of(" \r\n\t");
    if (end == std::string::npos) return "";
    const size_t newline = text.find_last_of('\n', end);
    const size_t begin = newline == std::string::npos ? 0 : newline + 1;
    return text.substr(begin, end - begin + 1);
}

}  // namespace

std::string failure_of(const ProcessResult & process) {
    const std::string line = last_line(process.err);
    const std::string how = process.exit_code > SIGNAL_EXIT
                                ? fmt::format("ended by signal {}", process.exit_code - SIGNAL_EXIT)
                                : fmt::format("exit code {}", process.exit_code);
    return line.empty() ? how : fmt::format("{}: {}", how, line);
}

std::string self_path() {
    return std::filesystem::read_symlink("/proc/self/exe").string();
}

}  // namespace shimmy
