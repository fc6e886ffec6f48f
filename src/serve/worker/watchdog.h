// Ends the process when it makes no progress: a request that is not prepared in time (chat template, schema, grammar,
// tokens) or takes too much memory for it, or llama.cpp's loop standing still. What runs there cannot be interrupted,
// so the process goes, says why on stderr, and the server starts another.
#pragma once

#include "serve/wire/frames.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace shimmy::serve::worker {

class Watchdog {
public:
    using Clock = std::chrono::steady_clock;

    // Says once a second over `control` that all is well; the server ends a process that does not.
    explicit Watchdog(const Descriptor & control);
    ~Watchdog();
    Watchdog(const Watchdog &) = delete;
    Watchdog & operator=(const Watchdog &) = delete;

    // From now on the loop is asked for a sign of life by `probe`, which waits for it, while requests are computed.
    void watch_loop(std::chrono::milliseconds stall_limit, std::function<void()> probe);

    struct Started {
        Clock::time_point at;
        const char * what = "";
        uint64_t rss_bytes = 0;  // of the process when it was first looked at; 0: not yet
    };

    // A request that is being prepared, or else `what`: until done(), or for as long as this exists.
    class Preparation {
    public:
        Preparation(Watchdog & watchdog, const char * what);
        ~Preparation();
        Preparation(const Preparation &) = delete;
        Preparation & operator=(const Preparation &) = delete;
        void done();

    private:
        Watchdog & watchdog_;
        std::list<Started>::iterator started_;
        bool done_ = false;
    };

    // A request that is being computed.
    class Work {
    public:
        explicit Work(Watchdog & watchdog);
        ~Work();
        Work(const Work &) = delete;
        Work & operator=(const Work &) = delete;

    private:
        Watchdog & watchdog_;
    };

private:
    void run();
    void run_probes();
    void check_preparations(Clock::time_point now);
    void check_loop(Clock::time_point now) const;

    const Descriptor & control_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<Started> preparations_;
    int n_working_ = 0;
    bool stopping_ = false;
    std::chrono::milliseconds stall_limit_{0};
    std::function<void()> probe_;
    std::atomic<Clock::rep> probed_at_ = 0;  // 0: no answer is awaited
    std::thread thread_;
    std::thread prober_;
};

}  // namespace shimmy::serve::worker
