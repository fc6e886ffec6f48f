#include "lab/measure/statistics.h"

#include "base/error.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <numeric>

namespace shimmy::lab {

namespace {

constexpr double CONFIDENCE = 0.95;
constexpr double OUTLIER_FENCE = 1.5;      // interquartile ranges, as Tukey put it
constexpr size_t MIN_OUTLIER_SAMPLES = 4;  // of three, none can lie beyond a fence

// Share of Student's distribution within [-t, t]: the finite sums for whole degrees of freedom (Abramowitz and Stegun,
// 26.7.3 and 26.7.4).
double student_within(double t, size_t degrees) {
    const double theta = std::atan(t / std::sqrt(static_cast<double>(degrees)));
    const double cos2 = std::cos(theta) * std::cos(theta);
    const bool odd = degrees % 2 == 1;
    if (degrees == 1) return 2.0 * theta / std::numbers::pi;
    double term = odd ? std::cos(theta) : 1.0;
    double sum = term;
    for (size_t k = odd ? 3 : 2; k < degrees; k += 2) {
        term *= cos2 * static_cast<double>(k - 1) / static_cast<double>(k);
        sum += term;
    }
    sum *= std::sin(theta);
    return odd ? 2.0 / std::numbers::pi * (theta + sum) : sum;
}

}  // namespace

double student_t95(size_t degrees) {
    assert(degrees > 0);
    double low = 1.9;    // the normal distribution's 1.96 is the limit for many degrees
    double high = 13.0;  // one degree has 12.7
    for (int i = 0; i < 60; ++i) {
        const double middle = 0.5 * (low + high);
        (student_within(middle, degrees) < CONFIDENCE ? low : high) = middle;
    }
    return 0.5 * (low + high);
}

std::optional<double> Statistics::ci95_half_width() const {
    if (n < 2) return std::nullopt;
    return student_t95(n - 1) * stddev / std::sqrt(static_cast<double>(n));
}

std::vector<bool> tukey_outliers(const std::vector<double> & samples) {
    std::vector<bool> result(samples.size(), false);
    if (samples.size() < MIN_OUTLIER_SAMPLES) return result;
    std::vector<double> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    const double q1 = quantile(sorted, 0.25);
    const double q3 = quantile(sorted, 0.75);
    const double fence = OUTLIER_FENCE * (q3 - q1);
    for (size_t i = 0; i < samples.size(); ++i)
        result[i] = samples[i] < q1 - fence || samples[i] > q3 + fence;
    return result;
}

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
