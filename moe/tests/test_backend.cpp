// The device as ggml sees it: what it claims and refuses, its buffers, threads, instruction set and counters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "harness.h"

using namespace moe_test;

namespace {

ggml_backend_dev_t device() {
    return ggml_backend_reg_dev_get(plugin(), 0);
}

struct Ctx {
    ggml_context * c = ggml_init({1u << 20, nullptr, true});
    ~Ctx() { ggml_free(c); }
    ggml_tensor * t(ggml_type type, int64_t a, int64_t b, int64_t d = 1) {
        return ggml_new_tensor_3d(c, type, a, b, d);
    }
    bool claims(ggml_tensor * op) { return ggml_backend_dev_supports_op(device(), op); }
};

}  // namespace

TEST(Backend, IsAnAcceleratorThatMapsFiles) {
    ggml_backend_dev_props p;
    ggml_backend_dev_get_props(device(), &p);
    EXPECT_EQ(p.type, GGML_BACKEND_DEVICE_TYPE_ACCEL);
    EXPECT_TRUE(p.caps.buffer_from_host_ptr);
    EXPECT_TRUE(p.caps.mmap_support);
    EXPECT_TRUE(ggml_backend_buft_is_host(ggml_backend_dev_buffer_type(device())));
    EXPECT_STREQ(ggml_backend_buft_name(ggml_backend_dev_buffer_type(device())), "MoE");
    EXPECT_STREQ(ggml_backend_dev_name(device()), "MoE");
}

TEST(Backend, ForcedInstructionSetTook) {
    const char * want = std::getenv("GGML_MOE_ISA");
    const std::string got = proc<ggml_moe_isa_t>("ggml_moe_isa")();
    if (want) {
        EXPECT_EQ(got, want);
    }
    EXPECT_NE(std::string(ggml_backend_dev_description(device())).find(got), std::string::npos);
}

TEST(Backend, ClaimsItsTypes) {
    Ctx c;
    const std::string isa = proc<ggml_moe_isa_t>("ggml_moe_isa")();
    const bool codebooks = isa != "scalar" && isa != "dotprod" && isa != "i8mm";
    const std::vector<ggml_type> not_in_plain_code = {GGML_TYPE_NVFP4, GGML_TYPE_TQ1_0, GGML_TYPE_TQ2_0, GGML_TYPE_Q1_0,
                                                      GGML_TYPE_Q2_0};
    for (ggml_type t : weight_types()) {
        const bool other = std::count(not_in_plain_code.begin(), not_in_plain_code.end(), t) > 0;
        const bool faster = has_codebook(t) ? codebooks : !(other && isa == "scalar");
        for (const int64_t tokens : {1, 4, 512}) {  // decoding and prompts alike
            ggml_tensor * x = c.t(GGML_TYPE_F32, 256, 1, tokens);
            EXPECT_EQ(c.claims(ggml_mul_mat(c.c, c.t(t, 256, 8), c.t(GGML_TYPE_F32, 256, tokens))), faster)
                << ggml_type_name(t) << ", tokens: " << tokens;
            EXPECT_EQ(c.claims(ggml_mul_mat_id(c.c, c.t(t, 256, 8, 4), x, c.t(GGML_TYPE_I32, 2, tokens))), faster)
                << ggml_type_name(t) << ", tokens: " << tokens;
        }
    }
}

TEST(Backend, ClaimsWeightsForEachHead) {
    Ctx c;
    ggml_tensor * heads_side_by_side = ggml_permute(c.c, c.t(GGML_TYPE_F32, 256, 2, 4), 0, 2, 1, 3);
    EXPECT_TRUE(c.claims(ggml_mul_mat(c.c, c.t(GGML_TYPE_F16, 256, 8, 2), c.t(GGML_TYPE_F32, 256, 4, 2))));
    EXPECT_TRUE(c.claims(ggml_mul_mat(c.c, c.t(GGML_TYPE_F16, 256, 8, 2), heads_side_by_side)));
}

TEST(Backend, LeavesTheRestToGgml) {
    Ctx c;
    ggml_tensor * x = c.t(GGML_TYPE_F32, 256, 4);
    EXPECT_FALSE(c.claims(ggml_mul_mat(c.c, c.t(GGML_TYPE_Q8_1, 256, 8), x)));  // no file has such weights
    EXPECT_FALSE(c.claims(ggml_mul_mat(c.c, ggml_new_tensor_4d(c.c, GGML_TYPE_F16, 256, 8, 2, 2),
                                       ggml_new_tensor_4d(c.c, GGML_TYPE_F32, 256, 4, 2, 2))));  // batches of heads
    EXPECT_FALSE(c.claims(ggml_mul_mat(c.c, ggml_cont(c.c, c.t(GGML_TYPE_F32, 256, 8)), x)));  // computed, not weights
    EXPECT_FALSE(c.claims(ggml_mul_mat(c.c, c.t(GGML_TYPE_F16, 256, 8), c.t(GGML_TYPE_F16, 256, 4))));  // F16 input
    EXPECT_FALSE(c.claims(ggml_soft_max(c.c, x)));
    EXPECT_FALSE(c.claims(ggml_add(c.c, c.t(GGML_TYPE_F16, 256, 4), c.t(GGML_TYPE_F16, 256, 4))));
}

// llama.cpp does without flash attention if the graph with which it asks, of one token per sequence, is claimed by
// another device than the layer's own. It asks after creating a backend, before it lays out anything else.
TEST(Backend, ClaimsNoAttentionWhileLlamaCppDecidesWhetherToUseIt) {
    Ctx c;
    const auto claimed = [&](ggml_type type, int64_t tokens) {
        ggml_tensor * kv = c.t(type, 64, 256, 2);
        return c.claims(ggml_flash_attn_ext(c.c, c.t(GGML_TYPE_F32, 64, tokens, 4), kv, kv,
                                            c.t(GGML_TYPE_F16, 256, tokens), 1.0f, 0.0f, 0.0f));
    };
    const auto compute = [](Graph & g) {
        ggml_tensor * x = g.input({8}, std::vector<float>(8, 1.0f));
        g.compute(ggml_add(g.ctx(), x, x));
    };
    Graph first(true);
    EXPECT_FALSE(claimed(GGML_TYPE_F16, 1));
    EXPECT_FALSE(claimed(GGML_TYPE_F16, 1));  // of the next layer
    bool elsewhere = false;
    std::thread([&] { elsewhere = claimed(GGML_TYPE_F16, 1); }).join();
    EXPECT_TRUE(elsewhere);
    compute(first);
    EXPECT_TRUE(claimed(GGML_TYPE_F16, 1));
    EXPECT_TRUE(claimed(GGML_TYPE_Q8_0, 1));
    Graph second(true);
    EXPECT_FALSE(claimed(GGML_TYPE_F16, 1));
    EXPECT_TRUE(claimed(GGML_TYPE_F16, 64));  // of a whole batch: the decision has been made
    EXPECT_TRUE(claimed(GGML_TYPE_F16, 1));
    Graph third(true);
    EXPECT_FALSE(claimed(GGML_TYPE_F16, 256));  // as many sequences as there can be
    EXPECT_TRUE(claimed(GGML_TYPE_F16, 512));
    Graph fourth(true);
    EXPECT_TRUE(claimed(GGML_TYPE_F16, 512));
}

TEST(Backend, BufferFromPointerUsesTheMemoryItself) {
    alignas(64) static uint8_t memory[4096];
    ggml_backend_buffer_t b = ggml_backend_dev_buffer_from_host_ptr(device(), memory, sizeof memory, sizeof memory);
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(ggml_backend_buffer_get_base(b), memory);
    ggml_backend_buffer_clear(b, 7);
    EXPECT_EQ(memory[4095], 7);
    ggml_backend_buffer_free(b);
}

TEST(Backend, UnknownProcAddressIsNull) {
    EXPECT_EQ(ggml_backend_reg_get_proc_address(plugin(), "no_such_function"), nullptr);
}

TEST(Backend, SeveralProductsOfOneInput) {
    const auto x = normals(256 * 3, 1);
    const auto build = [&](Graph & g) {
        ggml_tensor * in = g.input({256, 3}, x);
        ggml_tensor * sum = nullptr;
        for (ggml_type t : {GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_F32, GGML_TYPE_Q8_0}) {
            ggml_tensor * p = ggml_mul_mat(g.ctx(), g.weight(t, {256, 40}, quantize(t, normals(256 * 40, 7), 256)), in);
            sum = sum ? ggml_add(g.ctx(), sum, p) : p;
        }
        return sum;
    };
    const Pair p = run_both(build);
    EXPECT_LT(nmse(p.moe, std::vector<double>(p.cpu.begin(), p.cpu.end())), 4e-4);
}

TEST(Backend, TwoBackendsAtOnce) {
    const auto result = [](uint32_t seed, int repeats) {
        Graph g(true, 2);
        const auto w = quantize(GGML_TYPE_Q4_0, normals(512 * 64, seed), 512);
        return g.compute(ggml_mul_mat(g.ctx(), g.weight(GGML_TYPE_Q4_0, {512, 64}, w),
                                      g.input({512, 9}, normals(512 * 9, seed + 1))),
                         repeats);
    };
    const auto one = result(3, 1), two = result(5, 1);
    std::vector<float> beside;
    std::thread other([&] { beside = result(5, 20); });
    EXPECT_EQ(result(3, 20), one);
    other.join();
    EXPECT_EQ(beside, two);
    EXPECT_NE(one, two);
}

TEST(Backend, CountsHitsAndBytes) {
    proc<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")();
    Graph g(true);
    const auto w = quantize(GGML_TYPE_Q8_0, normals(64 * 32 * 4, 1), 64);
    ggml_tensor * t = g.weight(GGML_TYPE_Q8_0, {64, 32, 4}, w, "blk.3.ffn_down_exps.weight");
    g.compute(ggml_mul_mat_id(g.ctx(), t, g.input({64, 1, 3}, normals(192, 2)), g.ids({2, 3}, {0, 2, 2, 0, 2, 3})));
    const auto get = proc<ggml_moe_expert_stats_t>("ggml_moe_experts");
    std::vector<ggml_moe_expert_stat> all(get(nullptr, 0));
    EXPECT_EQ(get(all.data(), all.size()), all.size());
    uint64_t hits[4] = {}, bytes[4] = {};
    for (const auto & s : all) {
        if (s.layer == 3) {
            hits[s.expert] = s.hits;
            bytes[s.expert] = s.bytes;
        }
    }
    EXPECT_EQ(hits[0], 2u);
    EXPECT_EQ(hits[1], 0u);
    EXPECT_EQ(hits[2], 3u);
    EXPECT_EQ(hits[3], 1u);
    EXPECT_EQ(bytes[2], 64u / 32u * 34u * 32u);
    EXPECT_EQ(bytes[1], 0u);
}

// The hits of expert 1 of layer 7 in this list.
uint64_t hits_of_one(const std::vector<ggml_moe_expert_stat> & stats) {
    for (const auto & s : stats) {
        if (s.layer == 7 && s.expert == 1) return s.hits;
    }
    return 0;
}

// Two models have layers of the same names.
TEST(Backend, CountsByBuffer) {
    proc<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")();
    const auto get = proc<ggml_moe_expert_stats_t>("ggml_moe_experts");
    const auto get_of = proc<ggml_moe_expert_stats_of_t>("ggml_moe_experts_of");
    const auto total = [&] {
        std::vector<ggml_moe_expert_stat> all(get(nullptr, 0));
        get(all.data(), all.size());
        return hits_of_one(all);
    };
    const auto of = [&](ggml_backend_buffer_t buffer) {
        std::vector<ggml_moe_expert_stat> all(get_of(buffer, nullptr, 0));
        get_of(buffer, all.data(), all.size());
        return hits_of_one(all);
    };
    const auto w = quantize(GGML_TYPE_Q8_0, normals(64 * 32 * 4, 1), 64);
    const auto run = [&](Graph & g, const std::vector<int32_t> & ids) {
        ggml_tensor * t = g.weight(GGML_TYPE_Q8_0, {64, 32, 4}, w, "blk.7.ffn_down_exps.weight");
        g.compute(ggml_mul_mat_id(g.ctx(), t, g.input({64, 1, 3}, normals(192, 2)), g.ids({1, 3}, ids)));
        return t->buffer;
    };
    Graph a(true);
    ggml_backend_buffer_t buffer_a = run(a, {1, 1, 0});
    {
        Graph b(true);
        ggml_backend_buffer_t buffer_b = run(b, {1, 2, 3});
        EXPECT_EQ(of(buffer_b), 1u);
        EXPECT_EQ(of(buffer_a), 2u);
        EXPECT_EQ(total(), 3u);
    }
    EXPECT_EQ(of(buffer_a), 2u);
    EXPECT_EQ(total(), 3u) << "what is gone stays in the total";
    proc<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset")();
    EXPECT_EQ(total(), 0u);
    EXPECT_EQ(of(nullptr), 0u);
}
