#include "base/process/interrupt.h"

#include "base/error.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace shimmy {

namespace {

// A wrapper such as timeout(1) or npm passes on the Ctrl-C that the terminal has sent to all: one wish, two signals.
// Only a signal that comes this long after the first insists, and ends the program without cleaning up.
constexpr int64_t SAME_WISH_MS = 500;

std::atomic<bool> signalled{false};
std::atomic<int64_t> first_ms{0};

int64_t now_ms() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);  // may be called in a signal handler
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

void on_signal(int signal_number) {
    if (!signalled.exchange(true)) {
        first_ms = now_ms();
    } else if (now_ms() - first_ms > SAME_WISH_MS) {
        std::signal(signal_number, SIG_DFL);
        std::raise(signal_number);
    }
}

}  // namespace

void install_interrupt_handler() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    // A closed pipe and a limit on file size are write errors with a reason, not deaths.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() {
    return signalled.load(std::memory_order_relaxed);
}

void clear_interrupt() {
    signalled = false;
}

void check_interrupted() {
    if (interrupted()) throw Interrupted();
}

}  // namespace shimmy
