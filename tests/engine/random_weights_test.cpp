// Weights that are random and still have the spread of a model that is about to be trained.
#include "engine/make/random_weights.h"

#include "ggml.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace shimmy::engine {
namespace {

double deviation(const std::vector<float> & values) {
    double squares = 0.0;
    for (const float value : values)
        squares += static_cast<double>(value) * value;
    return std::sqrt(squares / static_cast<double>(values.size()));
}

std::vector<float> numbers(const std::vector<std::byte> & pool, ggml_type type) {
    std::vector<float> result(pool.size() / ggml_type_size(type) * static_cast<size_t>(ggml_blck_size(type)));
    ggml_get_type_traits(type)->to_float(pool.data(), result.data(), static_cast<int64_t>(result.size()));
    return result;
}

}  // namespace

TEST(RandomWeights, KindsFollowTheNames) {
    EXPECT_EQ(weight_kind("blk.0.ssm_a"), WeightKind::decay);
    EXPECT_EQ(weight_kind("blk.0.attn_q.bias"), WeightKind::bias);
    EXPECT_EQ(weight_kind("blk.0.attn_norm.bias"), WeightKind::bias);
    EXPECT_EQ(weight_kind("blk.0.attn_sinks.weight"), WeightKind::bias);
    EXPECT_EQ(weight_kind("blk.0.attn_norm.weight"), WeightKind::one);
    EXPECT_EQ(weight_kind("rope_freqs.weight"), WeightKind::one);
    EXPECT_EQ(weight_kind("blk.0.ffn_up.scale"), WeightKind::one);
    EXPECT_EQ(weight_kind("blk.0.ffn_up_exps.weight"), WeightKind::matrix);
    EXPECT_EQ(weight_kind("token_embd.weight"), WeightKind::matrix);
}

TEST(RandomWeights, ValuesHaveTheSpreadOfTheirKind) {
    RandomWeights weights(1);
    EXPECT_EQ(weights.values(WeightKind::one, 64, 3), (std::vector<float>{1, 1, 1}));
    EXPECT_EQ(weights.values(WeightKind::decay, 64, 2), (std::vector<float>{-1, -1}));
    EXPECT_NEAR(deviation(weights.values(WeightKind::matrix, 64, 100'000)), 0.125, 0.002);
    EXPECT_NEAR(deviation(weights.values(WeightKind::bias, 64, 100'000)), 0.01, 0.0002);
    const std::vector<float> some = weights.values(WeightKind::matrix, 1, 1000);
    EXPECT_GT(std::set<float>(some.begin(), some.end()).size(), 990U) << "each is its own";
    // Longer than the pool of normal numbers: it begins again.
    EXPECT_NEAR(deviation(weights.values(WeightKind::matrix, 4, 3'000'000)), 0.5, 0.002);
}

TEST(RandomWeights, PoolsAreAsLargeAsTheModelNeeds) {
    RandomWeights weights(1);
    EXPECT_EQ(weights.pool("f32", 1, 255).size(), 256U * 4);
    EXPECT_EQ(weights.pool("f32", 2, 256).size(), 2U * 256 * 4);
    EXPECT_EQ(weights.pool("f32", 3, uint64_t{1} << 40).size(), 8191U * 256 * 4);
    EXPECT_EQ(weights.pool("q8_0", 1, 1024).size(), 5U * 256 / 32 * 34);
    EXPECT_EQ(&weights.pool("q8_0", 1, uint64_t{1} << 40), &weights.pool("q8_0", 1, 1024)) << "made once";
}

TEST(RandomWeights, EveryBlockOfAPoolIsQuantized) {
    RandomWeights weights(7);
    for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_IQ2_XXS}) {
        const std::vector<float> values = numbers(weights.pool(ggml_type_name(type), 256, 300'000), type);
        EXPECT_NEAR(deviation(values), 1.0 / 16, 0.01) << ggml_type_name(type);
        for (size_t block = 0; block < values.size() / 256; ++block) {
            const auto begin = values.begin() + static_cast<ptrdiff_t>(block * 256);
            EXPECT_GT(deviation({begin, begin + 256}), 0.03) << block << " of " << ggml_type_name(type);
        }
    }
}

TEST(RandomWeights, OffsetsAreBlocksOfThePool) {
    RandomWeights weights(3);
    std::set<size_t> seen;
    for (int i = 0; i < 200; ++i)
        seen.insert(weights.random_offset("q8_0", 3 * 34));
    EXPECT_EQ(seen, (std::set<size_t>{0, 34, 68}));
}

TEST(RandomWeights, TheSeedDecides) {
    EXPECT_EQ(RandomWeights(5).values(WeightKind::matrix, 4, 10), RandomWeights(5).values(WeightKind::matrix, 4, 10));
    EXPECT_NE(RandomWeights(5).values(WeightKind::matrix, 4, 10), RandomWeights(6).values(WeightKind::matrix, 4, 10));
}

}  // namespace shimmy::engine
