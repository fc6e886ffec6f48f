// Layers of a model on GPUs that are only figures.
#include "engine/predict/layer_split.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

using Split = std::vector<uint32_t>;

TEST(LayerSplit, EqualLayersFollowTheRoom) {
    EXPECT_EQ(split_layers({1, 1, 1, 1}, {10, 10}), (Split{2, 2}));
    EXPECT_EQ(split_layers({1, 1, 1, 1}, {30, 10}), (Split{3, 1}));
    EXPECT_EQ(split_layers({1, 1, 1, 1, 1, 1}, {10, 20, 30}), (Split{1, 2, 3}));
}

TEST(LayerSplit, ACardTakesManyLayersWithoutExpertsOrFewWithThem) {
    // Four layers whose experts are in RAM, two with them, and the output.
    EXPECT_EQ(split_layers({1, 1, 1, 1, 10, 10, 2}, {15, 15}), (Split{5, 2}));  // 14 and 12; by number it is 4 and 22
    EXPECT_EQ(split_layers({1, 1, 1, 1, 10, 10, 2}, {4, 30}), (Split{3, 4}));
}

TEST(LayerSplit, WhatFitsIsFound) {
    EXPECT_EQ(split_layers({7, 5, 3}, {7, 8}), (Split{1, 2}));
    EXPECT_EQ(split_layers({7, 5, 3}, {12, 3}), (Split{2, 1}));
}

TEST(LayerSplit, ACardWithoutRoomGetsNothing) {
    EXPECT_EQ(split_layers({1, 1, 1}, {0, 1'000'000'000}), (Split{0, 3}));
    EXPECT_EQ(split_layers({1, 1, 1}, {1'000'000'000, 0}), (Split{3, 0}));
    EXPECT_EQ(split_layers({5}, {1, 2}), (Split{0, 1}));
}

TEST(LayerSplit, OneCardGetsAll) {
    EXPECT_EQ(split_layers({1, 2, 3}, {2}), (Split{3}));
}

}  // namespace
}  // namespace shimmy::engine
