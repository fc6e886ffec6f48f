// When the requests of an open loop arrive: planned before the first is sent, whatever the server does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shimmy::lab {

enum class Arrivals { constant, poisson };

// `n` times in ms, ascending from 0 on, at `rate` > 0 per second on average. Constant: equal distances. Poisson:
// distances are drawn from an exponential distribution; the same seed gives the same times.
std::vector<double> arrival_times(Arrivals arrivals, double rate, size_t n, uint64_t seed);

}  // namespace shimmy::lab
