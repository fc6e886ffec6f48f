// The threads that compute. One team per backend.
//
// ggml's CPU backend normally runs on OpenMP, whose idle workers spin for a while after every graph. A second pool
// would then fight them for cores, so when GNU OpenMP is already in the process the team runs on it too: the same
// workers serve both. Otherwise the team keeps threads of its own, which spin briefly and then sleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace moe {

// Below this many multiply-accumulates waking other threads costs more than it saves (about 10 us of one core).
constexpr double MIN_PARALLEL_WORK = 256 * 1024;

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

// All threads of a region meet here.
class Barrier {
public:
    void reset(int n) { n_ = n; }
    void wait();

private:
    int n_ = 1;
    std::atomic<int> waiting_{0};
    std::atomic<unsigned> phase_{0};
};

class Team {
public:
    using Fn = void (*)(void * ctx, int ith, int nth, Barrier & barrier);

    Team();
    ~Team();
    Team(const Team &) = delete;
    Team & operator=(const Team &) = delete;

    void set_threads(int n) { n_threads_ = n < 1 ? 1 : n; }
    int threads() const { return n_threads_; }

    // Runs fn on up to `n` threads (the caller is thread 0) and returns when all have finished.
    void run(int n, Fn fn, void * ctx);

private:
    struct Region {
        Fn fn;
        void * ctx;
        Barrier * barrier;
        std::atomic<int> n;
    };

    static void omp_entry(void * arg);
    void run_own(int n);
    void worker(int id);
    void start_workers(int n);

    int n_threads_;
    Barrier barrier_;
    Region region_{};

    // own threads
    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> epoch_{0};
    std::atomic<int> active_{1};  // threads of the current region
    std::atomic<int> pending_{0};
    std::atomic<bool> stop_{false};
};

}  // namespace moe
