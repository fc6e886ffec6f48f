// An amount of memory that many requests share.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace shimmy::serve {

class Budget {
public:
    explicit Budget(size_t bytes) : left_(bytes) {}
    Budget(const Budget &) = delete;
    Budget & operator=(const Budget &) = delete;

    // What one request holds of it, given back with it.
    class Share {
    public:
        Share() = default;
        explicit Share(Budget & budget) : budget_(&budget) {}
        ~Share() {
            if (budget_ != nullptr) budget_->left_ += bytes_;
        }
        Share(Share && other) noexcept
            : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
        Share & operator=(Share && other) noexcept {
            std::swap(budget_, other.budget_);
            std::swap(bytes_, other.bytes_);
            return *this;
        }
        Share(const Share &) = delete;
        Share & operator=(const Share &) = delete;

        // False where so much is not left.
        bool take(size_t bytes) {
            size_t left = budget_->left_;
            do {
                if (left < bytes) return false;
            } while (!budget_->left_.compare_exchange_weak(left, left - bytes));
            bytes_ += bytes;
            return true;
        }

    private:
        Budget * budget_ = nullptr;
        size_t bytes_ = 0;
    };

private:
    std::atomic<size_t> left_;
};

}  // namespace shimmy::serve
