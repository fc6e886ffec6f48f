// A thread that copies experts into a GPU's memory while the others compute. It starts with the first order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "bank.h"
#include "experts/policy.h"

namespace moe {

class Uploader {
public:
    struct Order {
        size_t class_index = 0;
        CachePolicy::Upload upload{};
        Bank * bank = nullptr;
        int slot = 0;  // within the bank
        FfnWeights from;
        int expert = 0;        // within `from`
        bool dropped = false;  // nothing was copied
        bool failed = false;   // the device failed
    };

    Uploader() = default;
    ~Uploader() { stop(); }
    Uploader(const Uploader &) = delete;
    Uploader & operator=(const Uploader &) = delete;

    void add(const Order & order);
    // Moves what has been copied since the last call to the end of `done`. Cheap if there is none.
    void take_done(std::vector<Order> & done);
    void wait();  // until nothing is left to copy
    void stop();  // what has not begun is forgotten
    // Copies nothing from this buffer from now on: what was to be copied is dropped, what is being copied waited for.
    void drop(const ggml_backend_buffer * buffer);

private:
    void run();

    std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::deque<Order> waiting_;
    std::vector<Order> done_;
    std::atomic<bool> any_done_{false};
    const Order * current_ = nullptr;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace moe
