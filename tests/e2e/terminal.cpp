#include "terminal.h"

#include "base/error.h"

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <csignal>

namespace shimmy::e2e {

Terminal::Terminal(std::vector<std::string> args) {
    args.insert(args.begin(), SHIMMY_PROGRAM);
    std::vector<char *> argv;
    for (std::string & arg : args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (pid_ < 0) fail("there is no pseudo-terminal");
    if (pid_ == 0) {
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
}

Terminal::~Terminal() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::close(terminal_);
}

bool Terminal::read_some(std::chrono::milliseconds timeout) {
    pollfd ready{terminal_, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(timeout.count())) <= 0) return true;
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(terminal_, buffer.data(), buffer.size());
    if (n <= 0) return false;  // EIO: no program has it open any more
    screen_.append(buffer.data(), static_cast<size_t>(n));
    return true;
}

bool Terminal::shows(const std::string & text, std::chrono::seconds timeout) {
    const auto end = std::chrono::steady_clock::now() + timeout;
    bool open = true;
    while (screen_.find(text) == std::string::npos) {
        if (!open || std::chrono::steady_clock::now() > end) return false;
        open = read_some(std::chrono::milliseconds(100));
    }
    return true;
}

void Terminal::type(const std::string & keys) const {
    if (::write(terminal_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) fail("nobody is listening");
}

int Terminal::wait() {
    while (read_some(std::chrono::milliseconds(100)))
        ;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace shimmy::e2e
