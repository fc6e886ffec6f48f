#include "serve/pool/back_off.h"

#include <algorithm>

namespace shimmy::serve {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds HEALTHY_AGE{60000};  // what lived so long did not die of being started
constexpr milliseconds FIRST_WAIT{1000};
constexpr milliseconds LONGEST_WAIT{60000};

}  // namespace

void BackOff::note_death(Clock::time_point now, milliseconds age) {
    n_deaths_ = age >= HEALTHY_AGE ? 1 : n_deaths_ + 1;
    if (n_deaths_ == 1) {
        next_ = now;
        return;
    }
    const int doublings = std::min(n_deaths_ - 2, 16);
    next_ = now + std::min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings));
}

milliseconds BackOff::wait(Clock::time_point now) const {
    return now >= next_ ? milliseconds(0) : std::chrono::duration_cast<milliseconds>(next_ - now);
}

}  // namespace shimmy::serve
