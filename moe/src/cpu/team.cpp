#include "team.h"

#include <cstdlib>
#include <cstring>
#include <thread>

#include "os/process.h"

namespace moe {

namespace {

// About 20 us of polling: longer than the gap between two splits of a layer, short enough not to starve others.
constexpr int SPINS = 500;
// About 5 us: threads that have a core each are rarely further apart. One that waits longer may sit on the core that
// the others need, so it gives it away between two looks; where nobody wants it, that costs nothing.
constexpr int SPINS_BEFORE_YIELD = 200;

// Waits for other threads of the region.
template <class Done>
void wait_until(Done done) {
    for (int spins = 0; !done(); ++spins) {
        if (spins < SPINS_BEFORE_YIELD) {
            cpu_relax();
        } else {
            std::this_thread::yield();
        }
    }
}

}  // namespace

void Barrier::wait() {
    const unsigned phase = phase_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) == n_ - 1) {
        waiting_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    wait_until([&] { return phase_.load(std::memory_order_acquire) != phase; });
}

namespace {

// GNU OpenMP's entry points, if the process has it loaded.
struct Omp {
    void (*parallel)(void (*fn)(void *), void * data, unsigned n, unsigned flags) = nullptr;
    int (*thread_num)() = nullptr;
    int (*num_threads)() = nullptr;

    Omp() {
        const char * pool = std::getenv("GGML_MOE_POOL");
        if (pool != nullptr && std::strcmp(pool, "own") == 0) return;
        const auto find = [](const char * name) { return os::find_loaded("libgomp.so.1", name); };
        thread_num = reinterpret_cast<int (*)()>(find("omp_get_thread_num"));
        num_threads = reinterpret_cast<int (*)()>(find("omp_get_num_threads"));
        parallel = reinterpret_cast<void (*)(void (*)(void *), void *, unsigned, unsigned)>(find("GOMP_parallel"));
        if (thread_num == nullptr || num_threads == nullptr) parallel = nullptr;
    }
};

const Omp & omp() {
    static const Omp o;
    return o;
}

}  // namespace

Team::Team() {
    const unsigned n = std::thread::hardware_concurrency();
    n_threads_ = n == 0 ? 1 : static_cast<int>(n);
}

Team::~Team() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_.store(true);
    }
    wake_.notify_all();
    for (std::thread & t : workers_) {
        t.join();
    }
}

void Team::omp_entry(void * arg) {
    Region & r = static_cast<Team *>(arg)->region_;
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it is OpenMP that calls this, so it is loaded
    const int ith = omp().thread_num();
    if (ith == 0) {  // the runtime may grant fewer threads than asked for
        const int n = omp().num_threads();
        r.barrier->reset(n);
        r.n.store(n, std::memory_order_release);
    }
    int n = 0;
    wait_until([&] { return (n = r.n.load(std::memory_order_acquire)) != 0; });
    r.fn(r.ctx, ith, n, *r.barrier);
}

void Team::run(int n, Fn fn, void * ctx) {
    if (n > n_threads_) n = n_threads_;
    region_.fn = fn;
    region_.ctx = ctx;
    region_.barrier = &barrier_;
    if (n <= 1) {
        barrier_.reset(1);
        fn(ctx, 0, 1, barrier_);
    } else if (omp().parallel != nullptr) {
        region_.n.store(0, std::memory_order_relaxed);
        omp().parallel(omp_entry, this, static_cast<unsigned>(n), 0);
    } else {
        run_own(n);
    }
}

void Team::start_workers(int n) {
    while (static_cast<int>(workers_.size()) < n - 1) {
        const int id = static_cast<int>(workers_.size()) + 1;
        workers_.emplace_back([this, id] { worker(id); });
    }
}

void Team::run_own(int n) {
    start_workers(n);
    barrier_.reset(n);
    pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
        std::lock_guard<std::mutex> lock(mutex_);
        active_.store(n, std::memory_order_relaxed);
        epoch_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    region_.fn(region_.ctx, 0, n, barrier_);
    wait_until([&] { return pending_.load(std::memory_order_acquire) == 0; });
}

void Team::worker(int id) {
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && epoch_.load(std::memory_order_acquire) == seen; ++i) {
            cpu_relax();
        }
        if (epoch_.load(std::memory_order_acquire) == seen) {
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return stop_.load() || epoch_.load(std::memory_order_acquire) != seen; });
        }
        if (stop_.load()) return;
        seen = epoch_.load(std::memory_order_acquire);
        const int n = active_.load(std::memory_order_relaxed);
        if (id < n) region_.fn(region_.ctx, id, n, barrier_);
        pending_.fetch_sub(1, std::memory_order_acq_rel);
    }
}

}  // namespace moe
