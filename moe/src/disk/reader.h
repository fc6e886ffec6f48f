// Threads that read from disk, in the order in which they are asked.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/job.h"
#include "model_file.h"

namespace moe {

// Something to read into memory of the caller's. It is `here` when all of it is read, or failed.
struct Reading : Arrival {
    std::atomic<int> parts_left{0};
    std::atomic<int> error{0};  // as ModelFile::read returns it
};

class Reader {
public:
    Reader() = default;
    ~Reader();
    Reader(const Reader &) = delete;
    Reader & operator=(const Reader &) = delete;

    struct Order {
        Reading * reading;
        std::shared_ptr<const ModelFile> file;
        uint64_t offset;
        size_t bytes;
        uint8_t * memory;  // begins at a page, and has room for what rounding to pages adds
    };
    // Sets each reading's data.
    void add(const std::vector<Order> & orders);

    // Returns when it is here.
    static void wait(const Arrival & arrival);

private:
    struct Part {
        Reading * reading;
        std::shared_ptr<const ModelFile> file;
        uint64_t from, to;
        uint8_t * memory;
    };
    void run();
    void start();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Part> waiting_;
    std::vector<std::thread> threads_;
    bool stop_ = false;
};

}  // namespace moe
