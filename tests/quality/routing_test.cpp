// Evenness of use against distributions whose figures are known in closed form.
#include "quality/routing.h"

#include "base/error.h"

#include <gtest/gtest.h>
#include <cmath>

namespace shimmy::quality {
namespace {

using Layers = std::vector<engine::LayerRouting>;

TEST(Routing, EvenUse) {
    RoutingTally tally(4);
    const Layers choices{{2, 2, {0, 1, 2, 3}}};  // two tokens
    tally.add(choices, choices);
    ASSERT_EQ(tally.layers().size(), 1U);
    const LayerUse layer = tally.layers().front();
    EXPECT_EQ(layer.layer, 2);
    EXPECT_DOUBLE_EQ(layer.entropy(), 1.0);
    EXPECT_DOUBLE_EQ(layer.variation(), 0.0);
    EXPECT_TRUE(layer.never_chosen().empty());
    EXPECT_EQ(layer.other_experts_share, 0.0);
}

TEST(Routing, HalfOfTheExpertsAreNeverChosen) {
    RoutingTally tally(4);
    const Layers choices{{0, 2, {1, 3, 1, 3, 1, 3}}};
    tally.add(choices, choices);
    const LayerUse layer = tally.layers().front();
    EXPECT_DOUBLE_EQ(layer.entropy(), 0.5);    // log 2 of log 4
    EXPECT_DOUBLE_EQ(layer.variation(), 1.0);  // 0, 3, 0, 3
    EXPECT_EQ(layer.never_chosen(), (std::vector<int>{0, 2}));
}

TEST(Routing, OtherExpertsAreCountedPerChoiceAndPerLayer) {
    RoutingTally tally(8);
    tally.add({{1, 2, {0, 1, 2, 3}}, {2, 2, {0, 1, 0, 1}}}, {{1, 2, {0, 5, 2, 3}}, {2, 2, {0, 1, 0, 1}}});
    tally.add({{1, 2, {4, 5}}, {2, 2, {6, 7}}}, {{1, 2, {6, 7}}, {2, 2, {6, 7}}});
    const std::vector<LayerUse> layers = tally.layers();
    EXPECT_DOUBLE_EQ(layers.at(0).other_experts_share, 3.0 / 6.0);
    EXPECT_DOUBLE_EQ(layers.at(1).other_experts_share, 0.0);
    EXPECT_EQ(layers.at(0).hits, (std::vector<uint64_t>{1, 0, 1, 1, 0, 1, 1, 1})) << "the model's, not the base's";
}

TEST(Routing, AnotherModelIsRefused) {
    RoutingTally tally(8);
    EXPECT_THROW(tally.add({{1, 2, {0, 1}}}, {{1, 1, {0, 1}}}), Error);
    EXPECT_THROW(tally.add({{1, 2, {0, 1}}}, {}), Error);
}

}  // namespace
}  // namespace shimmy::quality
