// Types under a budget, against every combination there is.
#include "quality/search/type_search.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>
#include <random>

namespace shimmy::quality {
namespace {

struct Totals {
    uint64_t bytes = 0;
    uint64_t device_bytes = 0;
    double kld = 0.0;
};

Totals totals(const std::vector<TensorGroup> & groups, const std::vector<size_t> & picked) {
    Totals sum;
    for (size_t i = 0; i < groups.size(); ++i) {
        const TypeOption & option = groups[i].options[picked[i]];
        sum.bytes += option.bytes;
        sum.device_bytes += groups[i].on_device ? option.bytes : 0;
        sum.kld += option.kld;
    }
    return sum;
}

// Halving the bits quarters the steps and multiplies the divergence by 16, as in theory; groups differ in size and in
// how much they matter.
std::vector<TensorGroup> groups_of(unsigned seed, size_t n) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> logarithm(0.0, 3.0);
    std::vector<TensorGroup> groups(n);
    for (TensorGroup & group : groups) {
        const double size = std::pow(10.0, 3.0 + logarithm(random));
        const double weight = std::pow(10.0, -logarithm(random));
        group.on_device = random() % 2 == 0;
        for (const double bits : {8.5, 6.6, 5.5, 4.5, 3.4, 2.6})
            group.options.push_back(
                {std::to_string(bits), static_cast<uint64_t>(size * bits / 8.0), weight * std::pow(4.0, -bits)});
    }
    return groups;
}

// The least divergence within the budget, by trying all.
double best_of_all(const std::vector<TensorGroup> & groups, const Budget & budget) {
    double best = 1e300;
    std::vector<size_t> picked(groups.size(), 0);
    while (true) {
        const Totals sum = totals(groups, picked);
        if (sum.bytes <= budget.total_bytes && sum.device_bytes <= budget.device_bytes) best = std::min(best, sum.kld);
        size_t i = 0;
        while (i < picked.size() && ++picked[i] == groups[i].options.size())
            picked[i++] = 0;
        if (i == picked.size()) return best;
    }
}

TEST(TypeSearch, KeepsTheBudgetAndIsNearTheBest) {
    double ratio = 0.0;
    constexpr int N = 40;
    for (unsigned seed = 0; seed < N; ++seed) {
        const std::vector<TensorGroup> groups = groups_of(seed, 5);
        const Totals most = totals(groups, std::vector<size_t>(5, 0));
        Budget budget;
        budget.total_bytes = most.bytes * (35 + seed) / 100;
        if (seed % 2 == 1) budget.device_bytes = most.device_bytes / 2;
        const auto picked = pick_types(groups, budget);
        ASSERT_TRUE(picked) << seed;
        const Totals sum = totals(groups, *picked);
        EXPECT_LE(sum.bytes, budget.total_bytes) << seed;
        EXPECT_LE(sum.device_bytes, budget.device_bytes) << seed;
        const double best = best_of_all(groups, budget);
        EXPECT_LT(sum.kld, 3.0 * best) << seed;
        ratio += sum.kld / best / N;
    }
    EXPECT_LT(ratio, 1.2) << "on average";
}

TEST(TypeSearch, WithoutABudgetEverythingGetsTheBest) {
    EXPECT_EQ(pick_types(groups_of(1, 4), {}), (std::vector<size_t>{0, 0, 0, 0}));
}

TEST(TypeSearch, WhatCannotBeKeptIsRefused) {
    const std::vector<TensorGroup> groups = groups_of(2, 4);
    const Totals least = totals(groups, std::vector<size_t>(4, 5));
    EXPECT_FALSE(pick_types(groups, {least.bytes - 1, ~uint64_t{0}}));
    EXPECT_TRUE(pick_types(groups, {least.bytes, ~uint64_t{0}}));
    EXPECT_FALSE(pick_types(groups, {~uint64_t{0}, least.device_bytes - 1}));
}

TEST(TypeSearch, WhatMattersLeastPerByteGivesWayFirst) {
    const std::vector<TensorGroup> groups{{"attention", true, {}, {{"q8_0", 100, 0.0}, {"q2_K", 30, 0.5}}},
                                          {"experts", true, {}, {{"q8_0", 1000, 0.0}, {"q2_K", 300, 0.5}}}};
    EXPECT_EQ(pick_types(groups, {1050, ~uint64_t{0}}), (std::vector<size_t>{0, 1}));
}

}  // namespace
}  // namespace shimmy::quality
