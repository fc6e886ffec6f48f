#include "base/interrupt.h"

#include "base/error.h"

#include <atomic>
#include <csignal>

namespace shimmy {

namespace {

std::atomic<bool> signalled{false};

void on_signal(int signal_number) {
    if (signalled.exchange(true)) {
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

void check_interrupted() {
    if (interrupted()) throw Interrupted();
}

}  // namespace shimmy
