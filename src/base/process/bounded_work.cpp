#include "base/process/bounded_work.h"

#include "base/last_words.h"
#include "base/process/process_memory.h"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace shimmy {

namespace {

using Clock = std::chrono::steady_clock;

// A thread of its own, which sleeps while there is no such work: starting one for each would cost more than most
// templates.
class Warden {
public:
    void begin(std::string_view reason) {
        const std::lock_guard lock(mutex_);
        reason_ = reason;
        began_ = Clock::now();
        rss_bytes_ = rss_bytes();
        if (n_working_++ == 0) changed_.notify_one();
        if (!started_) std::thread([this] { watch(); }).detach();
        started_ = true;
    }
    void end() {
        const std::lock_guard lock(mutex_);
        --n_working_;
    }

private:
    static constexpr std::chrono::milliseconds LOOK_INTERVAL{100};

    void watch() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return n_working_ > 0; });
            const bool too_long = Clock::now() - began_ > BoundedWork::TIME_LIMIT;
            if (too_long || rss_bytes() > rss_bytes_ + BoundedWork::MEMORY_LIMIT) end_by_fault(reason_);
            changed_.wait_for(lock, LOOK_INTERVAL, [this] { return n_working_ == 0; });
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    int n_working_ = 0;
    bool started_ = false;
    std::string_view reason_;
    Clock::time_point began_;
    uint64_t rss_bytes_ = 0;
};

Warden & warden() {
    static auto * instance = new Warden;  // its thread never ends
    return *instance;
}

}  // namespace

BoundedWork::BoundedWork(std::string_view reason) : active_(has_last_words()) {
    if (active_) warden().begin(reason);
}

BoundedWork::~BoundedWork() {
    if (active_) warden().end();
}

}  // namespace shimmy
