// What a model that is larger than RAM reads from disk, against figures worked out by hand.
#include "engine/predict/placement_plan.h"

#include "base/text/units.h"

#include <gtest/gtest.h>

using namespace shimmy;
using namespace shimmy::engine;

namespace {

// 100 tokens/s at most and 20 at least while everything is in RAM; 512 MiB of KV cache and scratch.
PlacementEstimate offload() {
    PlacementEstimate estimate;
    estimate.placement = Placement::offload();
    estimate.host.context_bytes = 384 * MIB;
    estimate.host.compute_bytes = 128 * MIB;
    estimate.decode = {20, 100};
    return estimate;
}

}  // namespace

// Of 16 GiB a sixteenth is left free, 512 MiB are the cache's and the scratch's, and 2.5 GiB are other weights: 12 GiB
// of 24 are left for experts.
TEST(DiskPlan, HalfOfTheExperts) {
    const auto plan = plan_disk(offload(), {4000, 0, 2}, 24 * GIB, 5 * GIB / 2, 16 * GIB, 100'000);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->expert_ram_bytes, 12 * GIB);
    EXPECT_EQ(plan->expert_bytes, 24 * GIB);
    EXPECT_EQ(plan->token_bytes_high, 2000U);        // every second one is missed
    EXPECT_NEAR(plan->token_bytes_low, 148.0, 1.0);  // 3.7%
    ASSERT_TRUE(plan->decode);
    EXPECT_NEAR(plan->decode->low_tps, 1 / (0.05 + 2000 / 80'000.0), 1e-6);
    EXPECT_NEAR(plan->decode->high_tps, 1 / (0.01 + 148 / 100'000.0), 1e-3);
}

TEST(DiskPlan, NoRateWithoutADisk) {
    const auto plan = plan_disk(offload(), {4000, 0, 2}, 24 * GIB, 5 * GIB / 2, 16 * GIB, 0);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->token_bytes_high, 2000U);
    EXPECT_FALSE(plan->decode);
}

TEST(DiskPlan, WhatFitsToTheByteReadsNothing) {
    EXPECT_FALSE(plan_disk(offload(), {4000, 0, 2}, 12 * GIB, 5 * GIB / 2, 16 * GIB, 1));
    EXPECT_TRUE(plan_disk(offload(), {4000, 0, 2}, 12 * GIB + 1, 5 * GIB / 2, 16 * GIB, 1));
    EXPECT_FALSE(plan_disk(offload(), {4000, 0, 2}, 0, 5 * GIB / 2, 16 * GIB, 1)) << "no experts";
}

// At least 512 MiB are left free, at most a quarter.
TEST(DiskPlan, WhatIsLeftFree) {
    EXPECT_EQ(plan_disk(offload(), {1, 0, 1}, 24 * GIB, 0, 4 * GIB, 0)->expert_ram_bytes, 3 * GIB);
    EXPECT_EQ(plan_disk(offload(), {1, 0, 1}, 24 * GIB, 0, 1 * GIB, 0)->expert_ram_bytes, 256 * MIB);
    EXPECT_EQ(plan_disk(offload(), {1, 0, 1}, 24 * GIB, 5 * GIB, 1 * GIB, 0)->expert_ram_bytes, 0U);
}

TEST(DiskPlan, RecordedHitRates) {
    EXPECT_DOUBLE_EQ(recorded_hit_rate(0), 0);
    EXPECT_DOUBLE_EQ(recorded_hit_rate(0.1), 0.553);
    EXPECT_NEAR(recorded_hit_rate(0.175), (0.553 + 0.841) / 2, 1e-9);
    EXPECT_DOUBLE_EQ(recorded_hit_rate(1), 1);
}
