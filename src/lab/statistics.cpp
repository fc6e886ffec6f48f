#include "lab/statistics.h"

#include "base/error.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace shimmy::lab {

double quantile(const std::vector<double> & sorted, double p) {
    assert(!sorted.empty() && p >= 0.0 && p <= 1.0);
    const double position = p * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    const double share = position - static_cast<double>(below);
    return sorted[below] + share * (sorted[above] - sorted[below]);
}

Statistics summarize(std::vector<double> samples) {
    if (samples.empty()) fail("no samples to summarize");
    if (!std::all_of(samples.begin(), samples.end(), [](double x) { return std::isfinite(x); })) {
        fail("a sample is not a finite number");
    }
    std::sort(samples.begin(), samples.end());
    Statistics result;
    result.n = samples.size();
    result.min = samples.front();
    result.q1 = quantile(samples, 0.25);
    result.median = quantile(samples, 0.5);
    result.q3 = quantile(samples, 0.75);
    result.max = samples.back();
    const auto n = static_cast<double>(samples.size());
    result.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / n;
    if (samples.size() > 1) {
        double squares = 0.0;
        for (const double x : samples)
            squares += (x - result.mean) * (x - result.mean);
        result.stddev = std::sqrt(squares / (n - 1.0));
    }
    return result;
}

}  // namespace shimmy::lab
