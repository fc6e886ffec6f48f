#include "serve/worker/watchdog.h"

#include "base/process/process_memory.h"

#include <fmt/format.h>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace shimmy::serve::worker {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds WATCH_INTERVAL{250};
constexpr milliseconds SIGN_INTERVAL{1000};
// Templates, schemas and tokens of honest requests take milliseconds; a prompt of 30 MB took 3 s on two cores.
constexpr milliseconds PREPARATION_LIMIT{10000};
constexpr uint64_t PREPARATION_MEMORY = uint64_t{2} << 30;  // bytes; that prompt took 1.9 GB
constexpr milliseconds PROBE_INTERVAL{1000};
constexpr int EXIT_STALLED = 70;

[[noreturn]] void give_up(const std::string & reason) {
    fmt::print(stderr, "{}\n", reason);
    ::_exit(EXIT_STALLED);
}

}  // namespace

Watchdog::Watchdog(const Descriptor & control) : control_(control), thread_([this] { run(); }) {}

Watchdog::~Watchdog() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    thread_.join();
    if (prober_.joinable()) prober_.join();
}

void Watchdog::watch_loop(milliseconds stall_limit, std::function<void()> probe) {
    const std::lock_guard lock(mutex_);
    stall_limit_ = stall_limit;
    probe_ = std::move(probe);
    prober_ = std::thread([this] { run_probes(); });
}

void Watchdog::run() {
    Clock::time_point last_sign;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const Clock::time_point now = Clock::now();
        check_preparations(now);
        check_loop(now);
        if (now - last_sign >= SIGN_INTERVAL) {
            constexpr char SIGN = 'h';
            (void)::send(control_.fd(), &SIGN, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            last_sign = now;
        }
        changed_.wait_for(lock, WATCH_INTERVAL, [this] { return stopping_; });
    }
}

// With the lock held.
void Watchdog::check_preparations(Clock::time_point now) {
    const milliseconds limit = stall_limit_.count() > 0 ? std::min(PREPARATION_LIMIT, stall_limit_) : PREPARATION_LIMIT;
    for (Started & one : preparations_) {
        if (now - one.at > limit)
            give_up(fmt::format("{} takes more than {} s, and was stopped", one.what, limit.count() / 1000));
        if (now - one.at < WATCH_INTERVAL) continue;
        const uint64_t rss = rss_bytes();
        if (one.rss_bytes == 0) one.rss_bytes = rss;
        if (rss > one.rss_bytes + PREPARATION_MEMORY)
            give_up(fmt::format("{} takes more than {} GiB, and was stopped", one.what, PREPARATION_MEMORY >> 30));
    }
}

void Watchdog::check_loop(Clock::time_point now) const {
    const Clock::rep probed_at = probed_at_;
    if (probed_at != 0 && now - Clock::time_point(Clock::duration(probed_at)) > stall_limit_)
        give_up(fmt::format("llama.cpp's loop has stood still for {} s", stall_limit_.count() / 1000));
}

void Watchdog::run_probes() {
    while (true) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, PROBE_INTERVAL, [this] { return stopping_; });
            if (stopping_) return;
            if (n_working_ == 0) continue;
        }
        probed_at_ = Clock::now().time_since_epoch().count();
        probe_();
        probed_at_ = 0;
    }
}

Watchdog::Preparation::Preparation(Watchdog & watchdog, const char * what) : watchdog_(watchdog) {
    const std::lock_guard lock(watchdog_.mutex_);
    started_ = watchdog_.preparations_.insert(watchdog_.preparations_.end(), {Clock::now(), what});
}

Watchdog::Preparation::~Preparation() {
    done();
}

void Watchdog::Preparation::done() {
    if (done_) return;
    done_ = true;
    const std::lock_guard lock(watchdog_.mutex_);
    watchdog_.preparations_.erase(started_);
}

Watchdog::Work::Work(Watchdog & watchdog) : watchdog_(watchdog) {
    const std::lock_guard lock(watchdog_.mutex_);
    ++watchdog_.n_working_;
}

Watchdog::Work::~Work() {
    const std::lock_guard lock(watchdog_.mutex_);
    --watchdog_.n_working_;
}

}  // namespace shimmy::serve::worker
