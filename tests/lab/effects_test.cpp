// Effects of axes, worked out by hand.
#include "lab/measure/effects.h"

#include "axes_campaign.h"
#include "base/error.h"
#include "lab/measure/summary_json.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cmath>

namespace shimmy::lab {
namespace {

// t of 95% for 5 and for 2 degrees of freedom, from the printed tables.
constexpr double T_OF_5 = 2.5706;
constexpr double T_OF_2 = 4.3027;

const AxisEffect & effect(const std::vector<AxisEffect> & effects, const std::string & axis,
                          engine::Placement placement = engine::Placement::offload()) {
    for (const AxisEffect & one : effects) {
        if (one.to.front().key == axis && one.placement == placement) return one;
    }
    throw std::logic_error("no effect of " + axis);
}

TEST(EffectsOf, AFullDesignPoolsTheOtherAxis) {
    const TempDir dir;
    const std::vector<AxisEffect> effects = axis_effects(axes_plan(dir.path()));
    ASSERT_EQ(effects.size(), 4U) << "two axes, two placements";
    const AxisEffect & threads = effect(effects, "threads");
    EXPECT_EQ(threads.from, (Point{{"threads", "2"}}));
    EXPECT_EQ(threads.to, (Point{{"threads", "4"}}));
    // Logarithms of -0.01, 0 and 0.01 from that of 1.2, at either ubatch: their squares are 0.0004 together.
    const double half = T_OF_5 * std::sqrt(0.0004 / 5.0 / 6.0);
    ASSERT_EQ(threads.decode.n, 6U);
    EXPECT_NEAR(threads.decode.mean, 20.0, 1e-9);
    EXPECT_NEAR(*threads.decode.low, 100.0 * (1.2 * std::exp(-half) - 1.0), 1e-3);
    EXPECT_NEAR(*threads.decode.high, 100.0 * (1.2 * std::exp(half) - 1.0), 1e-3);
    EXPECT_TRUE(threads.decode.is_clear());
    EXPECT_FALSE(threads.prefill.is_clear());
    EXPECT_FALSE(threads.ttft.is_clear());
    EXPECT_EQ(threads.vram_percent, 0.0);
    const AxisEffect & ubatch = effect(effects, "ubatch", engine::Placement::baseline());
    EXPECT_NEAR(ubatch.prefill.mean, 100.0, 1e-9);
    EXPECT_TRUE(ubatch.prefill.is_clear());
    EXPECT_FALSE(ubatch.decode.is_clear());
}

TEST(EffectsOf, OneAtATimeComparesWithTheBaseAlone) {
    const TempDir dir;
    const std::vector<AxisEffect> effects =
        axis_effects(axes_plan(dir.path(), std::string("design = \"one-at-a-time\"\n") + TWO_AXES));
    const AxisEffect & threads = effect(effects, "threads");
    ASSERT_EQ(threads.decode.n, 3U);
    EXPECT_NEAR(*threads.decode.high, 100.0 * (1.2 * std::exp(T_OF_2 * 0.01 / std::sqrt(3.0)) - 1.0), 1e-3);
    EXPECT_EQ(effect(effects, "ubatch").prefill.n, 3U);
}

TEST(EffectsOf, PairedSettingsChangeTogether) {
    const TempDir dir;
    const std::vector<AxisEffect> effects =
        axis_effects(axes_plan(dir.path(), std::string("design = \"paired\"\n") + TWO_AXES));
    ASSERT_EQ(effects.size(), 2U) << "one comparison, two placements";
    EXPECT_EQ(effects[0].to, (Point{{"ubatch", "512"}, {"threads", "4"}}));
    EXPECT_NEAR(effects[0].decode.mean, 20.0, 1e-9);
    EXPECT_NEAR(effects[0].prefill.mean, 100.0, 1e-9);
}

TEST(EffectsOf, AnIntervalThatHoldsZeroIsNotClear) {
    EXPECT_FALSE(change_of({}).is_clear());
    EXPECT_FALSE(change_of({1.05}).is_clear()) << "of one pair nothing is known";
    // A standard deviation of 1%, of three: the half width is 2.48%.
    EXPECT_FALSE(change_of({1.00, 1.01, 1.02}).is_clear());
    EXPECT_TRUE(change_of({1.02, 1.03, 1.04}).is_clear());
    EXPECT_TRUE(change_of({0.98, 0.97, 0.96}).is_clear());
    EXPECT_FALSE(change_of({1.0, 1.0, 1.0}).is_clear());
    EXPECT_FALSE(change_of({1.0 + 1e-15, 1.0 + 1e-15}).is_clear()) << "rounding";
}

TEST(EffectsOf, TwiceAndHalfIsNoChange) {
    const Change change = change_of({2.0, 0.5});
    EXPECT_NEAR(change.mean, 0.0, 1e-9);
    EXPECT_GT(*change.low, -100.0);
}

TEST(EffectsOf, RunsWithoutACounterpartAreLeftOut) {
    const TempDir dir;
    CampaignPlan plan = axes_plan(dir.path());
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (*value_of(plan.runs[i].point, "threads") == "2" && plan.runs[i].repeat == 1)
            plan.results[i] = {ResultState::failed, "ended by signal 11", {}};
    }
    EXPECT_EQ(effect(axis_effects(plan), "threads").decode.n, 4U);
    EXPECT_EQ(effect(axis_effects(plan), "ubatch").decode.n, 5U) << "of 6 pairs, one has no base";
}

// With the larger ubatch, 4 threads bring 50% and not 20%.
TEST(EffectsOf, InteractionsThatAreClear) {
    const TempDir dir;
    EXPECT_TRUE(axis_interactions(axes_plan(dir.path())).empty());
    const auto change = [](const lab::Run & run, Json & document) {
        const bool both = *value_of(run.point, "threads") == "4" && *value_of(run.point, "ubatch") == "512";
        if (!both || !run.placement.offloads()) return;
        document["decode_tps"] = 10.0 * (0.9 + 0.1 * run.repeat) * 1.5 * std::exp(0.01 * (run.repeat - 2));
    };
    const std::vector<Interaction> found = axis_interactions(axes_plan(dir.path(), TWO_AXES, change));
    ASSERT_EQ(found.size(), 1U) << "of the offload alone";
    EXPECT_EQ(found[0].placement, engine::Placement::offload());
    EXPECT_EQ(found[0].to, (Setting{"ubatch", "512"}));
    EXPECT_EQ(found[0].at, (Setting{"threads", "4"}));
    EXPECT_NEAR(found[0].effect_at_base.mean, 0.0, 1e-9);
    EXPECT_NEAR(found[0].effect_at.mean, 25.0, 1e-9) << "1.5 / 1.2";
    EXPECT_EQ(found[0].percent.n, 3U);
}

TEST(EffectsOf, TheSummaryHasACellForEachPoint) {
    const TempDir dir;
    const Json summary = to_json(summarize_campaign(axes_plan(dir.path())));
    ASSERT_EQ(summary["cells"].size(), 8U) << "2 placements, 4 points";
    EXPECT_EQ(summary["cells"][0]["axes"], (Json{{"ubatch", 256}, {"threads", 2}}));
    EXPECT_EQ(summary["cells"][0]["at_base"], true);
    EXPECT_EQ(summary["cells"][1]["at_base"], false);
    EXPECT_EQ(summary["cells"][0]["n_runs"], 3);
    ASSERT_EQ(summary["rows"].size(), 4U);
    EXPECT_EQ(summary["rows"][3]["axes"], (Json{{"ubatch", 512}, {"threads", 4}}));
    EXPECT_NEAR(summary["rows"][0]["slowdown"].get<double>(), 5.0, 1e-9);
    EXPECT_TRUE(summary["n_threads"].is_null()) << "they vary";
    EXPECT_EQ(summary["settings"]["axes"]["design"], "full");
    for (const Json & axis : summary["settings"]["axes"]["list"])
        EXPECT_EQ(axis["varied"], true) << "each has two values: " << axis;
    EXPECT_EQ(summary["effects"].size(), 4U);
    EXPECT_EQ(summary["missing"].size(), 0U);
}

TEST(EffectsOf, ThreadsMayDifferOnlyWhereTheyAreAnAxis) {
    const TempDir dir;
    EXPECT_NO_THROW(summarize_campaign(axes_plan(dir.path())));
    CampaignPlan plan = axes_plan(dir.path(), "threads = [2]\n");
    EXPECT_EQ(to_json(summarize_campaign(plan))["n_threads"], 2);
    EXPECT_EQ(to_json(summarize_campaign(plan))["settings"]["axes"]["list"][0]["varied"], false);
    for (lab::Run & run : plan.runs)
        run.point.clear();
    plan.campaign.axes = {};
    plan.results[1].document["n_threads"] = 4;
    EXPECT_THROW(summarize_campaign(plan), Error);
}

}  // namespace
}  // namespace shimmy::lab
