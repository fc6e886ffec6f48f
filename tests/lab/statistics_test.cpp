#include "lab/measure/statistics.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>

namespace shimmy::lab {
namespace {

// The sample of the Wikipedia article on standard deviation: mean 5, sum of squared deviations 32.
TEST(Statistics, KnownValues) {
    const Statistics s = summarize({9, 2, 4, 5, 4, 7, 5, 4});
    EXPECT_EQ(s.n, 8U);
    EXPECT_DOUBLE_EQ(s.min, 2.0);
    EXPECT_DOUBLE_EQ(s.q1, 4.0);
    EXPECT_DOUBLE_EQ(s.median, 4.5);
    EXPECT_DOUBLE_EQ(s.q3, 5.5);  // position 5.25 of 2 4 4 4 5 5 7 9
    EXPECT_DOUBLE_EQ(s.max, 9.0);
    EXPECT_DOUBLE_EQ(s.mean, 5.0);
    EXPECT_NEAR(s.stddev, 2.138089935299395, 1e-12);  // sqrt(32 / 7)
}

TEST(Statistics, OddCountTakesTheMiddle) {
    const Statistics s = summarize({30, 10, 20});
    EXPECT_DOUBLE_EQ(s.median, 20.0);
    EXPECT_DOUBLE_EQ(s.q1, 15.0);
    EXPECT_DOUBLE_EQ(s.q3, 25.0);
    EXPECT_DOUBLE_EQ(s.stddev, 10.0);
}

TEST(Statistics, OneSampleHasNoSpread) {
    const Statistics s = summarize({7.5});
    EXPECT_DOUBLE_EQ(s.min, 7.5);
    EXPECT_DOUBLE_EQ(s.q1, 7.5);
    EXPECT_DOUBLE_EQ(s.median, 7.5);
    EXPECT_DOUBLE_EQ(s.max, 7.5);
    EXPECT_DOUBLE_EQ(s.stddev, 0.0);
}

TEST(Statistics, QuantileEnds) {
    const std::vector<double> sorted{1, 2, 3, 4};
    EXPECT_DOUBLE_EQ(quantile(sorted, 0.0), 1.0);
    EXPECT_DOUBLE_EQ(quantile(sorted, 1.0), 4.0);
    EXPECT_DOUBLE_EQ(quantile(sorted, 0.25), 1.75);
}

// Closed forms: one degree of freedom is Cauchy's distribution, two have t = p / sqrt((1 - p^2) / 2); the rest is from
// the printed tables.
TEST(Statistics, StudentsT) {
    EXPECT_NEAR(student_t95(1), std::tan(0.95 * std::numbers::pi / 2), 1e-9);
    EXPECT_NEAR(student_t95(2), 0.95 / std::sqrt((1 - 0.95 * 0.95) / 2), 1e-9);
    EXPECT_NEAR(student_t95(3), 3.1824, 5e-5);
    EXPECT_NEAR(student_t95(4), 2.7764, 5e-5);
    EXPECT_NEAR(student_t95(9), 2.2622, 5e-5);
    EXPECT_NEAR(student_t95(30), 2.0423, 5e-5);
    EXPECT_NEAR(student_t95(120), 1.9799, 5e-5);
    EXPECT_NEAR(student_t95(100000), 1.95996, 5e-5);
}

// The interval must hold the true mean in 95 of 100 samples: of 4000 samples of four, within four standard errors.
TEST(Statistics, IntervalCoversTheMeanAsOftenAsItSays) {
    std::mt19937 random(1);
    std::normal_distribution<double> normal(10.0, 3.0);
    constexpr int N = 4000;
    int covered = 0;
    for (int i = 0; i < N; ++i) {
        const Statistics s = summarize({normal(random), normal(random), normal(random), normal(random)});
        covered += std::abs(s.mean - 10.0) <= *s.ci95_half_width() ? 1 : 0;
    }
    EXPECT_NEAR(covered / double{N}, 0.95, 4 * std::sqrt(0.95 * 0.05 / N));
    EXPECT_FALSE(summarize({1.0}).ci95_half_width().has_value());
}

TEST(Statistics, QuartilesAndInterval) {
    const Statistics s = summarize({5, 1, 2, 4, 3});
    EXPECT_DOUBLE_EQ(s.q1, 2.0);
    EXPECT_DOUBLE_EQ(s.q3, 4.0);
    EXPECT_NEAR(s.stddev, std::sqrt(2.5), 1e-12);
    EXPECT_NEAR(*s.ci95_half_width(), 2.7764 * std::sqrt(2.5) / std::sqrt(5.0), 1e-4);
    EXPECT_NEAR(*summarize({1.0, 3.0}).ci95_half_width(), 12.7062 * std::sqrt(2.0) / std::sqrt(2.0), 1e-3);
    EXPECT_DOUBLE_EQ(summarize({2.0, 2.0}).stddev, 0.0);
}

TEST(Statistics, OutliersLieBeyondTukeysFences) {
    EXPECT_EQ(tukey_outliers({10, 1, 2, 3}), (std::vector<bool>{true, false, false, false}))
        << "four can: quartiles 1.75 and 4.75, fences -2.75 and 9.25";
    EXPECT_EQ(tukey_outliers({8, 1, 2, 3}), std::vector<bool>(4, false)) << "at the fence";
    EXPECT_EQ(tukey_outliers({-3.01, 1, 1, 3}).at(0), true);
    EXPECT_EQ(tukey_outliers({1, 2, 3, 4, 100}), (std::vector<bool>{false, false, false, false, true}));
    EXPECT_EQ(tukey_outliers({-50, 10, 11, 12, 13}), (std::vector<bool>{true, false, false, false, false}));
    EXPECT_EQ(tukey_outliers({1, 2, 3, 4, 7}), std::vector<bool>(5, false)) << "at the fence is not beyond it";
    EXPECT_EQ(tukey_outliers({1, 1, 100}), std::vector<bool>(3, false)) << "three cannot tell";
    EXPECT_TRUE(tukey_outliers({}).empty());
}

TEST(Statistics, RefusesWhatCannotBeSummarized) {
    EXPECT_THROW(summarize({}), Error);
    EXPECT_THROW(summarize({1.0, std::numeric_limits<double>::quiet_NaN()}), Error);
    EXPECT_THROW(summarize({std::numeric_limits<double>::infinity()}), Error);
}

}  // namespace
}  // namespace shimmy::lab
