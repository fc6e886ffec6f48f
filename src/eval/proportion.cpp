#include "eval/proportion.h"

#include <algorithm>
#include <cmath>

namespace shimmy::eval {

namespace {

constexpr double Z95 = 1.959963984540054;  // that 95% of a normal distribution lie within

}  // namespace

Interval wilson95(size_t n_right, size_t n) {
    const auto count = static_cast<double>(n);
    const double share = static_cast<double>(n_right) / count;
    const double z2 = Z95 * Z95;
    const double middle = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    const double half =
        Z95 / (1.0 + z2 / count) * std::sqrt(share * (1.0 - share) / count + z2 / (4.0 * count * count));
    return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

double Paired::difference() const {
    return n == 0 ? 0.0
                  : (static_cast<double>(n_only_second) - static_cast<double>(n_only_first)) / static_cast<double>(n);
}

Paired pair(const std::vector<bool> & first, const std::vector<bool> & second) {
    Paired paired;
    paired.n = std::min(first.size(), second.size());
    for (size_t i = 0; i < paired.n; ++i) {
        if (first[i] && second[i]) ++paired.n_both;
        if (first[i] && !second[i]) ++paired.n_only_first;
        if (!first[i] && second[i]) ++paired.n_only_second;
    }
    return paired;
}

double mcnemar_exact(const Paired & paired) {
    const size_t n = paired.n_only_first + paired.n_only_second;
    const size_t fewer = std::min(paired.n_only_first, paired.n_only_second);
    const auto log_factorial = [](size_t k) { return std::lgamma(static_cast<double>(k) + 1.0); };
    double tail = 0.0;
    for (size_t k = 0; k <= fewer; ++k) {
        const double log_choices = log_factorial(n) - log_factorial(k) - log_factorial(n - k);
        tail += std::exp(log_choices - static_cast<double>(n) * std::log(2.0));
    }
    return std::min(1.0, 2.0 * tail);
}

Interval difference95(const Paired & paired) {
    const double n = static_cast<double>(paired.n) + 2.0;
    const double first = (static_cast<double>(paired.n_only_first) + 1.0) / n;
    const double second = (static_cast<double>(paired.n_only_second) + 1.0) / n;
    const double middle = second - first;
    const double half = Z95 * std::sqrt((first + second - middle * middle) / n);
    return {std::max(-1.0, middle - half), std::min(1.0, middle + half)};
}

}  // namespace shimmy::eval
