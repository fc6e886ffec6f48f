// What a bench computes, counted by libggml-moe; and its figures.
#include "engine/bench/bench.h"

#include "base/error.h"
#include "engine/experts/expert_use.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

#include <map>

namespace shimmy::engine {
namespace {

TEST(BenchTestOf, NamesAndRates) {
    EXPECT_EQ((BenchTest{512, 0, 0}).name(), "pp512");
    EXPECT_EQ((BenchTest{1, 0, 0}).name(), "pp1");
    EXPECT_EQ((BenchTest{0, 1, 1}).name(), "tg1 @ d1");
    EXPECT_EQ((BenchTest{0, 128, 4096}).name(), "tg128 @ d4096");
    EXPECT_EQ((BenchTest{512, 128, 0}).name(), "pp512+tg128");
    EXPECT_EQ((BenchTest{512, 128, 64}).n_ctx(), 704U);
    // 30 tokens of each of 2 sequences in 600 ms.
    EXPECT_DOUBLE_EQ((BenchSample{400.0, 200.0}).tps({20, 10, 5}, 2), 100.0);
}

// Tokens that a layer's experts computed, by layer.
std::map<int, uint64_t> tokens_by_layer(int n_used) {
    std::map<int, uint64_t> tokens;
    for (const ExpertUse & use : expert_use().value_or(std::vector<ExpertUse>()))
        tokens[use.layer] += use.hits;
    for (auto & [layer, n] : tokens)
        n /= static_cast<uint64_t>(n_used);
    return tokens;
}

TEST(Bench, ComputesTheTokensItSays) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    options.n_ctx = 0;
    options.warm_up = false;
    if (!load_moe_backend("on")) GTEST_SKIP() << "no libggml-moe";
    constexpr int N_USED = 4;
    const BenchTest test{16, 4, 32};
    for (const uint32_t n_parallel : {1U, 3U}) {
        options.n_parallel = n_parallel;
        Bench bench(options, {test}, std::string(bench_text()));
        reset_expert_use();
        int n_called = 0;
        const auto samples = bench.run(test, 3, [&] { ++n_called; });
        ASSERT_EQ(samples.size(), 3U);
        EXPECT_EQ(n_called, 3);
        for (const BenchSample & sample : samples) {
            EXPECT_GT(sample.prompt_ms, 0.0);
            EXPECT_GT(sample.gen_ms, 0.0);
        }
        // The depth once, and three times the test.
        const uint64_t n_tokens = n_parallel * (32 + 3 * (16 + 4));
        const auto tokens = tokens_by_layer(N_USED);
        ASSERT_FALSE(tokens.empty());
        EXPECT_EQ(tokens.begin()->second, n_tokens) << "the first layer with experts, which drops no token";
    }
}

TEST(Bench, ATestOfOnePartTakesNoOther) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    options.n_ctx = 0;
    Bench bench(options, {{8, 0, 0}, {0, 4, 0}}, std::string(bench_text()));
    EXPECT_EQ(bench.run({8, 0, 0}, 1)[0].gen_ms, 0.0);
    EXPECT_EQ(bench.run({0, 4, 0}, 1)[0].prompt_ms, 0.0);
    EXPECT_GT(bench.expert_ram_bytes(), 0U);
}

TEST(Bench, WhatTheModelCannotHold) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_threads = 1;
    EXPECT_THROW(Bench(options, {{512, 1, 0}}, "text"), UsageError) << "trained for 512";
    options.n_parallel = 64;
    EXPECT_THROW(Bench(options, {{8, 0, 0}}, "a"), UsageError) << "too short for 64 sequences";
}

}  // namespace
}  // namespace shimmy::engine
