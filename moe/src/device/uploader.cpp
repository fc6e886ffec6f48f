#include "uploader.h"

#include <algorithm>

namespace moe {

namespace {

bool reads(const Uploader::Order & order, const ggml_backend_buffer * buffer) {
    const auto & b = order.from.buffers;
    return std::find(std::begin(b), std::end(b), buffer) != std::end(b);
}

}  // namespace

void Uploader::add(const Order & order) {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(order);
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    wake_.notify_one();
}

void Uploader::take_done(std::vector<Order> & done) {
    if (!any_done_.load(std::memory_order_acquire)) return;
    std::lock_guard<std::mutex> lock(mutex_);
    done.insert(done.end(), done_.begin(), done_.end());
    done_.clear();
    any_done_.store(false, std::memory_order_relaxed);
}

void Uploader::wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return waiting_.empty() && current_ == nullptr; });
}

void Uploader::stop() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
        waiting_.clear();
        wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

void Uploader::drop(const ggml_backend_buffer * buffer) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (Order & o : waiting_) {
        o.dropped = o.dropped || reads(o, buffer);
    }
    idle_.wait(lock, [&] { return current_ == nullptr || !reads(*current_, buffer) || current_->dropped; });
}

void Uploader::run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (stop_) return;
        Order order = waiting_.front();
        waiting_.pop_front();
        current_ = &order;
        lock.unlock();
        const bool copied = order.dropped || order.bank->load(order.slot, order.from, order.expert);
        lock.lock();
        current_ = nullptr;
        order.failed = !copied;
        done_.push_back(order);
        any_done_.store(true, std::memory_order_release);
        idle_.notify_all();
    }
}

}  // namespace moe
