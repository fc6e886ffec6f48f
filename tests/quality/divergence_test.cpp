// The figures against distributions whose divergence is known in closed form.
#include "quality/divergence.h"

#include "base/error.h"

#include <gtest/gtest.h>
#include <cmath>

namespace shimmy::quality {
namespace {

constexpr size_t N_VOCAB = 2;

Position of(float base, float model, size_t right) {
    const float p[N_VOCAB] = {std::log(base), std::log(1.0F - base)};
    const float q[N_VOCAB] = {std::log(model), std::log(1.0F - model)};
    return compare(p, q, N_VOCAB, right);
}

TEST(Divergence, OfAModelToItselfIsNone) {
    const Divergence d = summarize({of(0.7F, 0.7F, 0), of(0.4F, 0.4F, 1)});
    EXPECT_EQ(d.mean_kld, 0.0);
    EXPECT_EQ(d.max_kld, 0.0);
    EXPECT_EQ(d.ppl_ratio, 1.0);
    EXPECT_EQ(d.rms_delta_p, 0.0);
    EXPECT_EQ(d.same_top_percent, 100.0);
    EXPECT_NEAR(d.ppl, 1.0 / std::sqrt(0.7 * 0.6), 1e-6);
}

TEST(Divergence, OfTwoCoins) {
    const Position position = of(0.5F, 0.25F, 0);
    EXPECT_NEAR(position.kld, 0.5 * std::log(2.0) + 0.5 * std::log(0.5 / 0.75), 1e-6);
    EXPECT_NEAR(position.nll_base, std::log(2.0), 1e-6);
    EXPECT_NEAR(position.nll, std::log(4.0), 1e-6);
    EXPECT_FALSE(of(0.6F, 0.4F, 0).same_top);
}

TEST(Divergence, SpreadAndPercentiles) {
    std::vector<Position> positions;
    for (int i = 0; i <= 100; ++i)
        positions.push_back({1.0, 1.0, i / 100.0, i % 4 != 0});
    const Divergence d = summarize(positions);
    EXPECT_NEAR(d.mean_kld, 0.5, 1e-12);
    EXPECT_NEAR(d.median_kld, 0.5, 1e-12);
    EXPECT_NEAR(d.kld_p90, 0.9, 1e-12);
    EXPECT_NEAR(d.kld_p999, 0.999, 1e-12);
    EXPECT_EQ(d.max_kld, 1.0);
    // Of 0, 0.01, … 1: standard deviation sqrt((n^2 - 1) / 12) / 100 with n = 101, over sqrt(n - 1).
    EXPECT_NEAR(d.mean_kld_error, std::sqrt((101.0 * 101.0 - 1.0) / 12.0) / 100.0 / std::sqrt(100.0), 1e-12);
    EXPECT_NEAR(d.same_top_percent, 100.0 * 75 / 101, 1e-9);
    EXPECT_EQ(d.ppl_error, 0.0);
}

TEST(Divergence, NeedsPositions) {
    EXPECT_THROW(summarize({of(0.5F, 0.5F, 0)}), Error);
}

}  // namespace
}  // namespace shimmy::quality
