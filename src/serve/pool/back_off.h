// When a model whose process keeps dying may be loaded again: at once after the first death, then later and later.
#pragma once

#include <chrono>

namespace shimmy::serve {

class BackOff {
public:
    using Clock = std::chrono::steady_clock;

    // The process ended by itself at `now`, `age` after it was started.
    void note_death(Clock::time_point now, std::chrono::milliseconds age);
    // Until it may be loaded again; zero: now.
    std::chrono::milliseconds wait(Clock::time_point now) const;
    int n_deaths() const { return n_deaths_; }  // in a row

private:
    int n_deaths_ = 0;
    Clock::time_point next_ = Clock::time_point::min();
};

}  // namespace shimmy::serve
