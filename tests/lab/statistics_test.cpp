#include "lab/statistics.h"

#include "base/error.h"

#include <gtest/gtest.h>

#include <limits>

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

TEST(Statistics, RefusesWhatCannotBeSummarized) {
    EXPECT_THROW(summarize({}), Error);
    EXPECT_THROW(summarize({1.0, std::numeric_limits<double>::quiet_NaN()}), Error);
    EXPECT_THROW(summarize({std::numeric_limits<double>::infinity()}), Error);
}

}  // namespace
}  // namespace shimmy::lab
