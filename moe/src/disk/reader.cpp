#include "reader.h"

#include <algorithm>

namespace moe {

namespace {

// Measured (bench/LOG.md, entry 38): reads of 1 MiB, four at a time, are as fast as any; eight for disks that want
// more.
constexpr int THREADS = 8;
constexpr uint64_t PART = 1u << 20;
constexpr int SPINS = 2000;  // some 20 us, about what waking a thread takes

struct Arrivals {
    std::mutex mutex;
    std::condition_variable some;
};
Arrivals & arrivals() {
    static Arrivals & a = *new Arrivals;  // never destroyed: threads may wait while the process ends
    return a;
}

void arrive(Reading & reading) {
    {
        std::lock_guard<std::mutex> lock(arrivals().mutex);
        reading.here.store(true, std::memory_order_release);
    }
    arrivals().some.notify_all();
}

}  // namespace

Reader::~Reader() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (std::thread & thread : threads_) {
        thread.join();
    }
}

void Reader::start() {
    while (threads_.size() < THREADS) {
        threads_.emplace_back([this] { run(); });
    }
}

void Reader::add(const std::vector<Order> & orders) {
    constexpr uint64_t page = ModelFile::PAGE;
    std::lock_guard<std::mutex> lock(mutex_);
    start();
    for (const Order & o : orders) {
        const uint64_t begin = o.offset / page * page, end = o.offset + o.bytes;
        const uint64_t parts = std::max<uint64_t>(1, (end - begin + PART / 2) / PART);
        const uint64_t step = ((end - begin + parts - 1) / parts + page - 1) / page * page;
        const uint64_t n = (end - begin + step - 1) / step;  // rounding to pages may leave fewer
        o.reading->data = o.memory + (o.offset - begin);
        o.reading->error.store(0, std::memory_order_relaxed);
        o.reading->parts_left.store(static_cast<int>(n), std::memory_order_relaxed);
        for (uint64_t at = begin; at < end; at += step) {
            waiting_.push_back({o.reading, o.file, at, std::min(at + step, end), o.memory + (at - begin)});
        }
    }
    wake_.notify_all();
}

void Reader::wait(const Arrival & arrival) {
    for (int spins = 0; spins < SPINS; ++spins) {
        if (arrival.here.load(std::memory_order_acquire)) return;
        cpu_relax();
    }
    std::unique_lock<std::mutex> lock(arrivals().mutex);
    arrivals().some.wait(lock, [&] { return arrival.here.load(std::memory_order_acquire); });
}

void Reader::run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (stop_) return;
        const Part part = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        const int error = part.file->read(part.from, part.to, part.memory);
        if (error != 0) part.reading->error.store(error, std::memory_order_relaxed);
        if (part.reading->parts_left.fetch_sub(1, std::memory_order_acq_rel) == 1) arrive(*part.reading);
        lock.lock();
    }
}

}  // namespace moe
