#include "base/process/child_process.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "base/process/spawn.h"
#include "base/process/uninterrupted.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

namespace shimmy {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds POLL{20};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string> & argv) {
    std::array<int, 2> out{};
    if (::pipe2(out.data(), O_CLOEXEC) != 0) fail("pipe: {}", std::strerror(errno));
    out_ = out[0];
    err_ = ::memfd_create("stderr", MFD_CLOEXEC);
    try {
        pid_ = spawn(argv, out[1], err_);
    } catch (...) {
        ::close(out[1]);
        ::close(out_);
        ::close(err_);
        throw;
    }
    ::close(out[1]);
}

ChildProcess::~ChildProcess() {
    stop(std::chrono::milliseconds(0));
    ::close(out_);
    ::close(err_);
}

std::optional<std::string> ChildProcess::read_until(char delimiter, std::chrono::milliseconds timeout) {
    const auto deadline = Clock::now() + timeout;
    while (true) {
        const size_t end = buffer_.find(delimiter);
        if (end != std::string::npos) {
            const std::string text = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return text;
        }
        check_interrupted();
        if (Clock::now() > deadline) return std::nullopt;
        std::array<pollfd, 1> ready{{{out_, POLLIN, 0}}};
        if (::poll(ready.data(), ready.size(), static_cast<int>(POLL.count())) <= 0) continue;
        std::array<char, 4096> bytes;
        const ssize_t n = uninterrupted([&] { return ::read(out_, bytes.data(), bytes.size()); });
        if (n <= 0) return std::nullopt;
        buffer_.append(bytes.data(), static_cast<size_t>(n));
    }
}

std::string ChildProcess::err() const {
    std::string text;
    std::array<char, 4096> bytes;
    for (ssize_t n = 0; (n = ::pread(err_, bytes.data(), bytes.size(), static_cast<off_t>(text.size()))) > 0;)
        text.append(bytes.data(), static_cast<size_t>(n));
    return text;
}

uint64_t ChildProcess::peak_rss_bytes() const {
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    for (std::string key; status >> key;) {
        uint64_t kib = 0;
        if (key == "VmHWM:" && status >> kib) return kib * 1024;
    }
    return 0;
}

bool ChildProcess::has_ended() {
    if (exit_code_) return true;
    int exit_code = 0;
    if (!try_wait(pid_, exit_code)) return false;
    exit_code_ = exit_code;
    return true;
}

int ChildProcess::stop(std::chrono::milliseconds grace) {
    if (has_ended()) return *exit_code_;
    ::kill(pid_, SIGTERM);
    for (const auto deadline = Clock::now() + grace; Clock::now() < deadline && !has_ended();)
        std::this_thread::sleep_for(POLL);
    if (!has_ended()) {
        ::kill(pid_, SIGKILL);
        exit_code_ = wait_exit_code(pid_);
    }
    return *exit_code_;
}

}  // namespace shimmy
