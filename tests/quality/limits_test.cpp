// Values worked out by hand, where a figure, a bound or a choice changes.
#include "base/error.h"
#include "quality/divergence.h"
#include "quality/offload_check.h"
#include "quality/routing.h"
#include "quality/row_codec.h"
#include "quality/search/type_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace shimmy::quality {
namespace {

using Picked = std::optional<std::vector<size_t>>;
constexpr uint64_t UNLIMITED = ~uint64_t{0};

TypeOption option(uint64_t bytes, double kld) {
    return {std::to_string(bytes), bytes, kld};
}

TEST(PickTypes, BudgetsOnBothSides) {
    const std::vector<TensorGroup> groups{{"a", true, {}, {option(100, 0.0), option(60, 1.0)}},
                                          {"b", false, {}, {option(100, 0.0), option(60, 0.5)}}};
    EXPECT_EQ(pick_types(groups, {200, UNLIMITED}), Picked({0, 0}));
    EXPECT_EQ(pick_types(groups, {199, UNLIMITED}), Picked({0, 1})) << "what costs least";
    EXPECT_EQ(pick_types(groups, {160, UNLIMITED}), Picked({0, 1}));
    EXPECT_EQ(pick_types(groups, {159, UNLIMITED}), Picked({1, 1}));
    EXPECT_EQ(pick_types(groups, {120, UNLIMITED}), Picked({1, 1}));
    EXPECT_EQ(pick_types(groups, {119, UNLIMITED}), std::nullopt);
    EXPECT_EQ(pick_types(groups, {UNLIMITED, 100}), Picked({0, 0}));
    EXPECT_EQ(pick_types(groups, {UNLIMITED, 99}), Picked({1, 0})) << "only what is on the device helps there";
    EXPECT_EQ(pick_types(groups, {UNLIMITED, 60}), Picked({1, 0}));
    EXPECT_EQ(pick_types(groups, {UNLIMITED, 59}), std::nullopt);
}

TEST(PickTypes, WhatIsLeftOverBuysBack) {
    const auto pick = [](bool on_device, Budget budget) {
        return pick_types({{"a", on_device, {}, {option(100, 0.0), option(99, 0.01), option(10, 0.02)}},
                           {"b", false, {}, {option(100, 0.0), option(50, 5.0)}}},
                          budget);
    };
    EXPECT_EQ(pick(false, {199, UNLIMITED}), Picked({1, 0})) << "10 saves more per divergence, then 99 fits exactly";
    EXPECT_EQ(pick(false, {198, UNLIMITED}), Picked({2, 0}));
    EXPECT_EQ(pick(true, {UNLIMITED, 99}), Picked({1, 0}));
    EXPECT_EQ(pick(true, {UNLIMITED, 98}), Picked({2, 0}));
    EXPECT_EQ(pick(true, {198, 99}), Picked({2, 0})) << "both budgets bind";
    EXPECT_EQ(pick(false, {UNLIMITED, 0}), Picked({0, 0}));
}

TEST(PickTypes, TiesAndOptionsThatAreSmallerAndBetter) {
    const TensorGroup even{"a", true, {}, {option(100, 0.0), option(50, 1.0)}};
    EXPECT_EQ(pick_types({even, even}, {150, UNLIMITED}), Picked({1, 0})) << "the first of equal ones";
    const TensorGroup odd{"a", true, {}, {option(100, 0.5), option(50, 0.1), option(40, 0.1)}};
    EXPECT_EQ(pick_types({odd}, {}), Picked(std::vector<size_t>{1}));
}

TEST(Figures, OfTwoPositionsByHand) {
    // Right tokens: 1/2 of the base and 1/4 of the model, then 1/8 and 1/2.
    const Divergence d =
        summarize({{std::log(2.0), std::log(4.0), 0.3, true}, {std::log(8.0), std::log(2.0), 0.1, false}});
    EXPECT_NEAR(d.ppl_base, 4.0, 1e-12);
    EXPECT_NEAR(d.ppl, std::sqrt(8.0), 1e-12);
    EXPECT_NEAR(d.ppl_ratio, std::sqrt(8.0) / 4.0, 1e-12);
    // log 4 and log 2: their mean is off by log(2) / 2 on each side; squared, over n, over n - 1.
    EXPECT_NEAR(d.ppl_error, std::sqrt(8.0) * std::log(2.0) / 2.0, 1e-12);
    EXPECT_NEAR(d.mean_kld, 0.2, 1e-12);
    EXPECT_NEAR(d.mean_kld_error, 0.1, 1e-12);
    EXPECT_NEAR(d.median_kld, 0.2, 1e-12);
    EXPECT_NEAR(d.kld_p90, 0.28, 1e-12);
    EXPECT_NEAR(d.kld_p99, 0.298, 1e-12);
    EXPECT_NEAR(d.kld_p999, 0.2998, 1e-12);
    EXPECT_EQ(d.max_kld, 0.3);
    EXPECT_NEAR(d.rms_delta_p, std::sqrt((0.25 * 0.25 + 0.375 * 0.375) / 2.0), 1e-12);
    EXPECT_EQ(d.same_top_percent, 50.0);
}

TEST(Figures, WhatTheBaseFindsNegligibleIsLeftOut) {
    const float model[2] = {0.0F, -1.0F};
    const float at_limit[2] = {0.0F, -16.0F};
    const float above[2] = {0.0F, -15.0F};
    EXPECT_EQ(compare(at_limit, model, 2, 1).kld, 0.0);
    EXPECT_NEAR(compare(above, model, 2, 1).kld, std::exp(-15.0) * -14.0, 1e-12);
    EXPECT_EQ(compare(above, model, 2, 1).nll_base, 15.0);
    EXPECT_EQ(compare(above, model, 2, 1).nll, 1.0);
    EXPECT_EQ(compare(above, model, 2, 0).nll, 0.0);
}

TEST(Figures, OffloadBoundsByType) {
    for (const auto & [type, bound] :
         {std::pair{"F32", 1e-4}, {"F16", 1e-4}, {"BF16", 1e-4}, {"Q8_0", 1e-3}, {"Q4_K", 1e-3}, {"MXFP4", 1e-3}}) {
        gguf::ModelInfo model;
        model.dominant_type = type;
        EXPECT_EQ(offload_kld_bound(model), bound) << type;
    }
}

TEST(LayerUse, UnevenUse) {
    const LayerUse use{0, 1, {3, 1}, 0.0};
    EXPECT_NEAR(use.entropy(), -(0.75 * std::log2(0.75) + 0.25 * std::log2(0.25)), 1e-12);
    EXPECT_NEAR(use.variation(), 0.5, 1e-12);
    EXPECT_EQ((LayerUse{0, 1, {7}, 0.0}.entropy()), 0.0) << "one expert is no choice";
    EXPECT_EQ((LayerUse{0, 1, {0, 0}, 0.0}.entropy()), 0.0);
    EXPECT_EQ((LayerUse{0, 1, {0, 0}, 0.0}.variation()), 0.0);
    EXPECT_EQ((LayerUse{0, 1, {}, 0.0}.variation()), 0.0);
    EXPECT_EQ((LayerUse{0, 1, {0, 2, 0}, 0.0}.never_chosen()), (std::vector<int>{0, 2}));
}

TEST(RoutingTally, RefusesWhatIsNotTheSameTokensAndLayers) {
    using Layers = std::vector<engine::LayerRouting>;
    const Layers base{{1, 2, {0, 1, 2, 3}}};
    RoutingTally tally(4);
    EXPECT_THROW(tally.add(base, {{2, 2, {0, 1, 2, 3}}}), Error) << "another layer";
    EXPECT_THROW(tally.add(base, {{1, 4, {0, 1, 2, 3}}}), Error) << "another number per token";
    EXPECT_THROW(tally.add(base, {{1, 2, {0, 1}}}), Error) << "fewer tokens";
    EXPECT_THROW(tally.add({}, base), Error);
    EXPECT_TRUE(tally.layers().empty()) << "nothing of a refused pair counts";
    EXPECT_THROW(tally.add({{1, 1, {4}}}, {{1, 1, {4}}}), std::exception) << "an expert that is not there";
    RoutingTally good(4);
    good.add({{3, 1, {0}}, {5, 2, {0, 1}}}, {{3, 1, {0}}, {5, 2, {2, 3}}});
    ASSERT_EQ(good.layers().size(), 2U);
    EXPECT_EQ(good.layers()[1].layer, 5);
    EXPECT_EQ(good.layers()[1].n_used, 2);
    EXPECT_EQ(good.layers()[1].other_experts_share, 1.0);
    EXPECT_EQ(good.layers()[0].other_experts_share, 0.0);
}

struct Encoded {
    float scale = 0.0F;
    float min = 0.0F;
    std::vector<uint16_t> codes;
};

Encoded encode(const std::vector<float> & row) {
    std::string bytes(encoded_row_bytes(row.size()), '\0');
    encode_row(row.data(), row.size(), bytes.data());
    Encoded result;
    result.codes.resize(row.size());
    std::memcpy(&result.scale, bytes.data(), 4);
    std::memcpy(&result.min, bytes.data() + 4, 4);
    std::memcpy(result.codes.data(), bytes.data() + 8, 2 * row.size());
    return result;
}

TEST(RowCodec, CodesByHand) {
    EXPECT_EQ(encoded_row_bytes(5), 18U);
    const Encoded wide = encode({0.0F, -8.0F, -16.0F, -20.0F, -1000.0F});
    EXPECT_EQ(wide.codes, (std::vector<uint16_t>{65535, 32768, 0, 0, 0}));
    EXPECT_EQ(wide.min, -16.0F);
    EXPECT_EQ(wide.scale, 16.0F / 65535.0F);
    const Encoded narrow = encode({-1.0F, -3.0F, -5.0F});
    EXPECT_EQ(narrow.codes, (std::vector<uint16_t>{65535, 32768, 0}));
    EXPECT_EQ(narrow.min, -5.0F);
    EXPECT_EQ(narrow.scale, 4.0F / 65535.0F);
}

}  // namespace
}  // namespace shimmy::quality
