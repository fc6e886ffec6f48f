#include "lab/http/arrivals.h"

#include <cmath>
#include <random>

namespace shimmy::lab {

std::vector<double> arrival_times(Arrivals arrivals, double rate, size_t n, uint64_t seed) {
    const double mean_ms = 1000.0 / rate;
    std::mt19937_64 random(seed);
    std::vector<double> times;
    double at_ms = 0.0;
    for (size_t i = 0; i < n; ++i) {
        times.push_back(arrivals == Arrivals::constant ? static_cast<double>(i) * mean_ms : at_ms);
        // By hand: the standard library's distributions differ between implementations. (0, 1] of 53 bits.
        const double uniform = (static_cast<double>(random() >> 11U) + 1.0) * 0x1.0p-53;
        at_ms -= std::log(uniform) * mean_ms;
    }
    return times;
}

}  // namespace shimmy::lab
