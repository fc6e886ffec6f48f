// The comparator itself: it must see the errors the other tests rely on it to see.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "harness.h"

using namespace moe_test;

TEST(Harness, NmseSeesNoDifferenceInEqualData) {
    EXPECT_EQ(nmse({1, 2, 3}, {1, 2, 3}), 0.0);
}

TEST(Harness, NmseOfOneWrongValue) {
    EXPECT_DOUBLE_EQ(nmse({0, 4}, {3, 4}), 9.0 / 25.0);
}
TEST(Harness, NmseOfValuesThatHappenToBeSmall) {
    EXPECT_DOUBLE_EQ(nmse({0.5}, {0.25}, 2.0), 0.0625 / 2.0);
}
TEST(Harness, ProductEnergyIsThatOfRandomDirections) {
    EXPECT_DOUBLE_EQ(product_energy({3, 4}, {1, 0, 0, 2}, 2), 25.0 * 5.0 / 2.0);
}

TEST(Harness, NmseRejectsNonFiniteAndMissingValues) {
    EXPECT_TRUE(std::isinf(nmse({NAN, 1}, {1, 1})));
    EXPECT_TRUE(std::isinf(nmse({std::numeric_limits<float>::infinity(), 1}, {1, 1})));
    EXPECT_TRUE(std::isinf(nmse({1}, {1, 1})));
}

TEST(Harness, BoundFollowsTheRangeOfTheBlock) {
    std::vector<float> x(256, 1.0f);
    const double even = int8_bound(x, 256, 32);
    EXPECT_NEAR(even, 2.0 / 12.0 / 127.0 / 127.0, 1e-9);
    x[0] = 127.0f;  // one outlier coarsens its block only
    EXPECT_GT(int8_bound(x, 256, 256), int8_bound(x, 256, 32) * 7);
}

TEST(Harness, BoundSeparatesRightFromSlightlyWrong) {
    const auto x = normals(4096, 1);
    const auto w = normals(4096, 2);
    // dropping one 32-column block of 4096 is 32/4096 of the energy: far outside
    EXPECT_GT(32.0 / 4096.0, 10 * bound_for(GGML_TYPE_Q4_K, x, 4096));
}

TEST(Harness, QuantizedWeightsAreClose) {
    for (ggml_type t : weight_types()) {
        const auto v = normals(1024, 3);
        const auto d = dequantize(t, quantize(t, v, 1024), 1024);
        if (has_codebook(t)) {
            EXPECT_NEAR(nmse(v, d), 2.0, 0.2) << ggml_type_name(t);  // as large, and independent
        } else {                                                     // a bit or two tell little more than the sign
            const bool coarse =
                t == GGML_TYPE_TQ1_0 || t == GGML_TYPE_TQ2_0 || t == GGML_TYPE_Q1_0 || t == GGML_TYPE_Q2_0;
            EXPECT_LT(nmse(v, d), coarse ? 0.6 : 0.25) << ggml_type_name(t);
        }
    }
}
