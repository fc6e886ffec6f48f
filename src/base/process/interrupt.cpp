#include "base/process/interrupt.h"

#include "base/error.h"
#include "base/last_words.h"

#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <thread>

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

namespace {

// A thread of its own: the one that works may be in a system call that no signal ends (the kernel reads a whole file
// for a mapping), where it does not even run the handler.
class Watcher {
public:
    void begin() {
        const std::lock_guard lock(mutex_);
        if (n_deaf_++ == 0) changed_.notify_one();
        if (!started_) std::thread([this] { watch(); }).detach();
        started_ = true;
    }
    void end() {
        const std::lock_guard lock(mutex_);
        --n_deaf_;
    }

private:
    static constexpr timespec LOOK_INTERVAL{0, 100'000'000};
    static constexpr int64_t GRACE_MS = 700;

    void watch() {
        sigset_t signals;
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &signals, nullptr);
        for (std::unique_lock lock(mutex_);;) {
            changed_.wait(lock, [this] { return n_deaf_ > 0; });
            lock.unlock();
            // Takes a signal that waits for the other thread.
            const int number = sigtimedwait(&signals, nullptr, &LOOK_INTERVAL);
            if (number > 0 && interrupted() && now_ms() - first_ms > SAME_WISH_MS) end_by_interrupt();
            if (number > 0) on_signal(number);
            lock.lock();
            if (n_deaf_ > 0 && interrupted() && now_ms() - first_ms > GRACE_MS) end_by_interrupt();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    int n_deaf_ = 0;
    bool started_ = false;
};

Watcher & watcher() {
    static auto * instance = new Watcher;  // its thread never ends
    return *instance;
}

}  // namespace

EndsWithinASecond::EndsWithinASecond() : active_(has_last_words()) {
    if (active_) watcher().begin();
}

EndsWithinASecond::~EndsWithinASecond() {
    if (active_) watcher().end();
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
