// The work items of one phase, handed out to the threads of a region.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace moe {

// Hands out items 0..total-1 in runs. A claim moves the counter's cache line from core to core, which takes 0.1 us, and
// an item of one activation row takes a few microseconds: runs are long at first, and shrink so that threads end
// together. Neighbours also lie one after another in memory. A thread always holds one run more than it works on, so
// that it can prefetch its next item.
class Work {
public:
    // rows: activation rows that an item multiplies, on average
    Work(std::atomic<int64_t> & counter, int64_t total, int threads, int64_t rows)
        : counter_(counter),
          total_(total),
          threads_(threads),
          max_run_(std::max(MAX_RUN_ROWS / std::max(rows, int64_t{1}), int64_t{1})),
          ahead_(claim()) {}

    // item: what to do now; next: what this thread does after it, or -1
    bool take(int64_t & item, int64_t & next) {
        if (now_.empty()) {
            now_ = ahead_;
            if (now_.empty()) return false;
            ahead_ = claim();
        }
        item = now_.first++;
        next = !now_.empty() ? now_.first : !ahead_.empty() ? ahead_.first : -1;
        return true;
    }

private:
    struct Run {
        int64_t first = 0, end = 0;
        bool empty() const { return first == end; }
    };
    static constexpr int64_t MAX_RUN_ROWS = 32;

    Run claim() {
        int64_t first = counter_.load(std::memory_order_relaxed), n = 0;
        do {
            if (first == total_) {
                return {};
            }
            n = std::clamp((total_ - first) / (4 * threads_), int64_t{1}, max_run_);
        } while (!counter_.compare_exchange_weak(first, first + n, std::memory_order_relaxed));
        return {first, first + n};
    }

    std::atomic<int64_t> & counter_;
    int64_t total_;
    int64_t threads_;
    int64_t max_run_;
    Run now_, ahead_;
};

}  // namespace moe
