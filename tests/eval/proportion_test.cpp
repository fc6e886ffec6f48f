// Intervals and tests against values that were worked out by hand, or published.
#include "eval/proportion.h"

#include <gtest/gtest.h>

namespace shimmy::eval {
namespace {

TEST(ProportionOf, WilsonsIntervalIsNotBeyondNoneOrAll) {
    const Interval most = wilson95(8, 10);
    EXPECT_NEAR(most.low, 0.490162, 1e-6);
    EXPECT_NEAR(most.high, 0.943318, 1e-6);
    const Interval none = wilson95(0, 10);
    EXPECT_EQ(none.low, 0.0);
    EXPECT_NEAR(none.high, 0.277533, 1e-6);  // z^2 / (n + z^2)
    EXPECT_NEAR(wilson95(10, 10).low, 1.0 - 0.277533, 1e-6);
    EXPECT_DOUBLE_EQ(wilson95(10, 10).high, 1.0);
}

TEST(ProportionOf, PairsAreOfTheQuestionsThatBothAnswered) {
    const Paired paired = pair({true, true, false, false, true}, {true, false, true, false, true, true});
    EXPECT_EQ(paired.n, 5U);
    EXPECT_EQ(paired.n_both, 2U);
    EXPECT_EQ(paired.n_only_first, 1U);
    EXPECT_EQ(paired.n_only_second, 1U);
    EXPECT_EQ(paired.difference(), 0.0);
}

// Airway hyper-responsiveness before and after treatment, 21 children: Fagerland, Lydersen and Laake, Stat. Med. 33
// (2014), tables 1, 4 and 6.
constexpr Paired CHILDREN{21, 1, 7, 1};

TEST(ProportionOf, AnExampleFromTheLiterature) {
    EXPECT_DOUBLE_EQ(CHILDREN.difference(), -6.0 / 21.0);
    EXPECT_NEAR(mcnemar_exact(CHILDREN), 0.0703125, 1e-12);  // 2 (1 + 8) / 2^8
    EXPECT_NEAR(difference95(CHILDREN).low, -0.508, 5e-4);
    EXPECT_NEAR(difference95(CHILDREN).high, -0.013, 5e-4);
}

TEST(ProportionOf, TheTestLooksAtBothSides) {
    EXPECT_NEAR(mcnemar_exact({21, 1, 1, 7}), 0.0703125, 1e-12);
    EXPECT_EQ(mcnemar_exact({50, 50, 0, 0}), 1.0) << "they never differ";
    EXPECT_EQ(mcnemar_exact({10, 4, 3, 3}), 1.0) << "no more than 1";
    EXPECT_NEAR(mcnemar_exact({1000, 0, 30, 10}), 0.00222135, 1e-7);
    EXPECT_NEAR(mcnemar_exact({9000, 0, 600, 500}), 0.00281954, 1e-7) << "factorials beyond a double's range";
    EXPECT_NEAR(mcnemar_exact({9, 4, 5, 0}), 0.0625, 1e-12);  // 2 / 2^5
}

TEST(ProportionOf, TheIntervalIsWithinOneWhole) {
    EXPECT_EQ(difference95({3, 0, 0, 3}).high, 1.0);
    EXPECT_EQ(difference95({3, 0, 3, 0}).low, -1.0);
    const Interval none = difference95({400, 300, 0, 0});
    EXPECT_NEAR(none.high, -none.low, 1e-12);
    EXPECT_GT(none.high, 0.0) << "that none differed so far does not mean that none will";
}

}  // namespace
}  // namespace shimmy::eval
