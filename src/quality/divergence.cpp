#include "quality/divergence.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace shimmy::quality {

namespace {

constexpr float NEGLIGIBLE_LOG_P = -16.0F;  // llama-perplexity leaves out what the base finds less likely than e^-16

struct Mean {
    double value = 0.0;
    double error = 0.0;  // standard error
};

template <class Get>
Mean mean_of(const std::vector<Position> & positions, Get get) {
    const auto n = static_cast<double>(positions.size());
    double sum = 0.0;
    for (const Position & position : positions)
        sum += get(position);
    const double mean = sum / n;
    double squares = 0.0;  // around the mean: no difference of large sums
    for (const Position & position : positions)
        squares += (get(position) - mean) * (get(position) - mean);
    return {mean, std::sqrt(squares / n / (n - 1.0))};
}

// Between the two nearest values, linearly. `sorted` ascending, not empty.
double quantile(const std::vector<double> & sorted, double share) {
    const double at = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Position compare(const float * base, const float * model, size_t n_vocab, size_t right) {
    Position position{-static_cast<double>(base[right]), -static_cast<double>(model[right]), 0.0, false};
    for (size_t v = 0; v < n_vocab; ++v) {
        if (base[v] > NEGLIGIBLE_LOG_P)
            position.kld += std::exp(static_cast<double>(base[v])) * (static_cast<double>(base[v]) - model[v]);
    }
    position.same_top =
        std::max_element(base, base + n_vocab) - base == std::max_element(model, model + n_vocab) - model;
    return position;
}

Divergence summarize(const std::vector<Position> & positions) {
    if (positions.size() < 2) fail("{} positions are too few to compare models on", positions.size());
    const Mean nll_base = mean_of(positions, [](const Position & p) { return p.nll_base; });
    const Mean nll = mean_of(positions, [](const Position & p) { return p.nll; });
    const Mean kld = mean_of(positions, [](const Position & p) { return p.kld; });
    const Mean squared_delta_p = mean_of(positions, [](const Position & p) {
        const double delta = std::exp(-p.nll) - std::exp(-p.nll_base);
        return delta * delta;
    });
    std::vector<double> sorted;
    for (const Position & position : positions)
        sorted.push_back(position.kld);
    std::sort(sorted.begin(), sorted.end());

    Divergence result;
    result.ppl_base = std::exp(nll_base.value);
    result.ppl = std::exp(nll.value);
    result.ppl_error = result.ppl * nll.error;
    result.ppl_ratio = std::exp(nll.value - nll_base.value);
    result.mean_kld = kld.value;
    result.mean_kld_error = kld.error;
    result.median_kld = quantile(sorted, 0.5);
    result.kld_p90 = quantile(sorted, 0.9);
    result.kld_p99 = quantile(sorted, 0.99);
    result.kld_p999 = quantile(sorted, 0.999);
    result.max_kld = sorted.back();
    result.rms_delta_p = std::sqrt(squared_delta_p.value);
    const auto same = std::count_if(positions.begin(), positions.end(), [](const Position & p) { return p.same_top; });
    result.same_top_percent = 100.0 * static_cast<double>(same) / static_cast<double>(positions.size());
    return result;
}

}  // namespace shimmy::quality
