// Which operations are taken: for every condition, one that violates it alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "graph/support.h"
#include "harness.h"

using namespace moe_test;
using moe::supports_op;

namespace {

// A graph without memory; tensors may be changed afterwards to what ggml's own functions would not build.
struct Ctx {
    ggml_context * c = ggml_init({1u << 20, nullptr, true});
    Ctx() = default;
    Ctx(const Ctx &) = delete;
    Ctx & operator=(const Ctx &) = delete;
    ~Ctx() { ggml_free(c); }

    ggml_tensor * t(ggml_type type, int64_t a, int64_t b, int64_t d = 1, int64_t e = 1) {
        return ggml_new_tensor_4d(c, type, a, b, d, e);
    }
    ggml_tensor * f32(int64_t a, int64_t b, int64_t d = 1, int64_t e = 1) { return t(GGML_TYPE_F32, a, b, d, e); }
    ggml_tensor * i32(int64_t a, int64_t b) { return t(GGML_TYPE_I32, a, b); }
    ggml_tensor * product(ggml_type type = GGML_TYPE_Q4_K) { return ggml_mul_mat(c, t(type, 256, 8), f32(256, 4)); }
    ggml_tensor * experts(int64_t rows_of_input = 1) {
        return ggml_mul_mat_id(c, t(GGML_TYPE_Q4_K, 256, 8, 4), f32(256, rows_of_input, 3), i32(2, 3));
    }
    ggml_tensor * attention() {
        ggml_tensor * a = ggml_flash_attn_ext(c, f32(64, 3, 4), t(GGML_TYPE_F16, 64, 32, 2),
                                              t(GGML_TYPE_F16, 64, 32, 2), t(GGML_TYPE_F16, 32, 3), 1, 0, 0);
        ggml_flash_attn_ext_add_sinks(a, f32(4, 1));
        return a;
    }
};

using Build = std::function<ggml_tensor *(Ctx &)>;
using Change = std::function<void(ggml_tensor *)>;

// `op` is taken, and not any more after each change.
void expect_each_refused(const Build & build, const std::vector<std::pair<const char *, Change>> & changes) {
    Ctx c;
    EXPECT_TRUE(supports_op(build(c)));
    for (const auto & [what, change] : changes) {
        ggml_tensor * op = build(c);
        change(op);
        EXPECT_FALSE(supports_op(op)) << what;
    }
}

constexpr int64_t MOST = 1 << 24;  // columns or rows of a weight

}  // namespace

TEST(Supports, TheseWeightTypesAndNoOthers) {
    const std::vector<std::pair<ggml_type, moe::WType>> all = {
        {GGML_TYPE_F32, moe::WType::F32},         {GGML_TYPE_F16, moe::WType::F16},
        {GGML_TYPE_BF16, moe::WType::BF16},       {GGML_TYPE_Q8_0, moe::WType::Q8_0},
        {GGML_TYPE_Q4_0, moe::WType::Q4_0},       {GGML_TYPE_Q4_1, moe::WType::Q4_1},
        {GGML_TYPE_Q5_0, moe::WType::Q5_0},       {GGML_TYPE_Q5_1, moe::WType::Q5_1},
        {GGML_TYPE_Q2_K, moe::WType::Q2_K},       {GGML_TYPE_Q3_K, moe::WType::Q3_K},
        {GGML_TYPE_Q4_K, moe::WType::Q4_K},       {GGML_TYPE_Q5_K, moe::WType::Q5_K},
        {GGML_TYPE_Q6_K, moe::WType::Q6_K},       {GGML_TYPE_IQ4_NL, moe::WType::IQ4_NL},
        {GGML_TYPE_IQ4_XS, moe::WType::IQ4_XS},   {GGML_TYPE_MXFP4, moe::WType::MXFP4},
        {GGML_TYPE_NVFP4, moe::WType::NVFP4},     {GGML_TYPE_IQ1_S, moe::WType::IQ1_S},
        {GGML_TYPE_IQ1_M, moe::WType::IQ1_M},     {GGML_TYPE_IQ2_XXS, moe::WType::IQ2_XXS},
        {GGML_TYPE_IQ2_XS, moe::WType::IQ2_XS},   {GGML_TYPE_IQ2_S, moe::WType::IQ2_S},
        {GGML_TYPE_IQ3_XXS, moe::WType::IQ3_XXS}, {GGML_TYPE_IQ3_S, moe::WType::IQ3_S},
        {GGML_TYPE_TQ1_0, moe::WType::TQ1_0},     {GGML_TYPE_TQ2_0, moe::WType::TQ2_0},
        {GGML_TYPE_Q1_0, moe::WType::Q1_0},       {GGML_TYPE_Q2_0, moe::WType::Q2_0}};
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        ggml_tensor t{};
        t.type = static_cast<ggml_type>(i);
        moe::WType got{};
        const auto wanted = std::find_if(all.begin(), all.end(), [&](const auto & e) { return e.first == t.type; });
        ASSERT_EQ(moe::weight_type(&t, &got), wanted != all.end()) << i;
        if (wanted != all.end()) {
            EXPECT_EQ(got, wanted->second) << i;
        }
    }
}

TEST(Supports, Weights) {
    expect_each_refused([](Ctx & c) { return c.product(); },
                        {{"another type", [](ggml_tensor * op) { op->src[0]->type = GGML_TYPE_Q8_1; }},
                         {"computed", [](ggml_tensor * op) { op->src[0]->op = GGML_OP_CONT; }},
                         {"a view", [](ggml_tensor * op) { op->src[0]->view_src = op->src[1]; }},
                         {"gaps between rows", [](ggml_tensor * op) { op->src[0]->nb[1] *= 2; }},
                         {"no columns", [](ggml_tensor * op) { op->src[0]->ne[0] = 0; }}});
    Ctx c;
    EXPECT_TRUE(supports_op(ggml_mul_mat(c.c, c.f32(MOST, MOST), c.f32(MOST, 1))));
    EXPECT_FALSE(supports_op(ggml_mul_mat(c.c, c.f32(MOST + 1, 8), c.f32(MOST + 1, 1))));
    EXPECT_FALSE(supports_op(ggml_mul_mat(c.c, c.f32(8, MOST + 1), c.f32(8, 1))));
}

TEST(Supports, Products) {
    expect_each_refused(
        [](Ctx & c) { return c.product(); },
        {{"a Hadamard transform", [](ggml_tensor * op) { ggml_mul_mat_set_hint(op, GGML_HINT_SRC0_IS_HADAMARD); }},
         {"batches of batched weights", [](ggml_tensor * op) { op->src[0]->ne[3] = 2; }},
         {"input in half precision",
          [](ggml_tensor * op) {
              op->src[1]->type = GGML_TYPE_F16;
              op->src[1]->nb[0] = sizeof(float);
          }},
         {"input in columns", [](ggml_tensor * op) { op->src[1]->nb[0] = 1024; }},
         {"output in half precision", [](ggml_tensor * op) { op->type = GGML_TYPE_F16; }},
         {"output in columns", [](ggml_tensor * op) { op->nb[0] = 1024; }}});
    Ctx c;
    ggml_tensor * several = ggml_mul_mat(c.c, c.t(GGML_TYPE_Q4_K, 256, 8), c.f32(256, 4, 3, 2));
    EXPECT_TRUE(supports_op(several)) << "batches of input";
    const auto heads = [](Ctx & x) { return ggml_mul_mat(x.c, x.t(GGML_TYPE_Q4_K, 256, 8, 3), x.f32(256, 4, 6)); };
    expect_each_refused(heads, {{"batches of heads", [](ggml_tensor * op) { op->src[1]->ne[3] = 2; }},
                                {"gaps between the heads' weights", [](ggml_tensor * op) { op->src[0]->nb[2] *= 2; }},
                                {"input in columns", [](ggml_tensor * op) { op->src[1]->nb[0] = 1024; }}});
    ggml_tensor * permuted = ggml_permute(c.c, c.f32(256, 3, 4), 0, 2, 1, 3);
    EXPECT_TRUE(supports_op(ggml_mul_mat(c.c, c.t(GGML_TYPE_Q4_K, 256, 8, 3), permuted))) << "heads side by side";
    constexpr int64_t rows = int64_t(1) << 30;
    EXPECT_TRUE(supports_op(ggml_mul_mat(c.c, c.t(GGML_TYPE_Q4_K, 256, 8), c.f32(256, rows - 1))));
    EXPECT_FALSE(supports_op(ggml_mul_mat(c.c, c.t(GGML_TYPE_Q4_K, 256, 8), c.f32(256, rows))));
}

TEST(Supports, ExpertProducts) {
    Ctx c;
    EXPECT_TRUE(supports_op(c.experts(2))) << "an input row for every slot";
    expect_each_refused([](Ctx & x) { return x.experts(); },
                        {{"weights of another type", [](ggml_tensor * op) { op->src[0]->type = GGML_TYPE_Q8_1; }},
                         {"several sets of experts", [](ggml_tensor * op) { op->src[0]->ne[3] = 2; }},
                         {"input in half precision",
                          [](ggml_tensor * op) {
                              op->src[1]->type = GGML_TYPE_F16;
                              op->src[1]->nb[0] = sizeof(float);
                          }},
                         {"input in columns", [](ggml_tensor * op) { op->src[1]->nb[0] = 1024; }},
                         {"four dimensions of input", [](ggml_tensor * op) { op->src[1]->ne[3] = 2; }},
                         {"output in half precision", [](ggml_tensor * op) { op->type = GGML_TYPE_F16; }},
                         {"output in columns", [](ggml_tensor * op) { op->nb[0] = 1024; }},
                         {"indices of 64 bits", [](ggml_tensor * op) { op->src[2]->type = GGML_TYPE_I64; }},
                         {"three dimensions of indices", [](ggml_tensor * op) { op->src[2]->ne[2] = 2; }},
                         {"four dimensions of indices", [](ggml_tensor * op) { op->src[2]->ne[3] = 2; }}});
    // Rows of input are repeated in ggml's own kernel: two of them serve four slots in turn.
    EXPECT_FALSE(supports_op(ggml_mul_mat_id(c.c, c.t(GGML_TYPE_Q4_K, 256, 8, 4), c.f32(256, 2, 3), c.i32(4, 3))));
    constexpr int64_t tokens = int64_t(1) << 29;
    EXPECT_FALSE(
        supports_op(ggml_mul_mat_id(c.c, c.t(GGML_TYPE_Q4_K, 256, 8, 4), c.f32(256, 1, tokens), c.i32(2, tokens))));
    EXPECT_TRUE(supports_op(
        ggml_mul_mat_id(c.c, c.t(GGML_TYPE_Q4_K, 256, 8, 4), c.f32(256, 1, tokens - 1), c.i32(2, tokens - 1))));
}

TEST(Supports, GatedActivations) {
    for (int i = 0; i < GGML_GLU_OP_COUNT; ++i) {
        Ctx c;
        EXPECT_TRUE(supports_op(ggml_glu_split(c.c, c.f32(64, 3), c.f32(64, 3), static_cast<ggml_glu_op>(i)))) << i;
        EXPECT_TRUE(supports_op(ggml_glu(c.c, c.f32(64, 3), static_cast<ggml_glu_op>(i), true))) << i;
    }
    const auto in_columns = [](ggml_tensor * t) { t->nb[0] = 64; };
    expect_each_refused([](Ctx & c) { return ggml_swiglu_split(c.c, c.f32(64, 3), c.f32(64, 3)); },
                        {{"an unknown one", [](ggml_tensor * op) { op->op_params[0] = GGML_GLU_OP_COUNT; }},
                         {"gate in half precision",
                          [](ggml_tensor * op) {
                              op->src[0]->type = GGML_TYPE_F16;
                              op->src[0]->nb[0] = sizeof(float);
                          }},
                         {"gate in columns", [&](ggml_tensor * op) { in_columns(op->src[0]); }},
                         {"up in half precision",
                          [](ggml_tensor * op) {
                              op->src[1]->type = GGML_TYPE_F16;
                              op->src[1]->nb[0] = sizeof(float);
                          }},
                         {"up in columns", [&](ggml_tensor * op) { in_columns(op->src[1]); }},
                         {"output in half precision", [](ggml_tensor * op) { op->type = GGML_TYPE_F16; }},
                         {"output in columns", [&](ggml_tensor * op) { in_columns(op); }}});
}

TEST(Supports, BiasesOfExperts) {
    expect_each_refused([](Ctx & c) { return ggml_add_id(c.c, c.f32(64, 2, 3), c.f32(64, 8), c.i32(2, 3)); },
                        {{"input in half precision",
                          [](ggml_tensor * op) {
                              op->src[0]->type = GGML_TYPE_F16;
                              op->src[0]->nb[0] = sizeof(float);
                          }},
                         {"biases in half precision",
                          [](ggml_tensor * op) {
                              op->src[1]->type = GGML_TYPE_F16;
                              op->src[1]->nb[0] = sizeof(float);
                          }},
                         {"output in half precision", [](ggml_tensor * op) { op->type = GGML_TYPE_F16; }},
                         {"four dimensions", [](ggml_tensor * op) { op->src[0]->ne[3] = 2; }},
                         {"biases of three dimensions", [](ggml_tensor * op) { op->src[1]->ne[2] = 2; }},
                         {"biases of four dimensions", [](ggml_tensor * op) { op->src[1]->ne[3] = 2; }},
                         {"indices of 64 bits",
                          [](ggml_tensor * op) {
                              op->src[2]->type = GGML_TYPE_I64;
                              op->src[2]->nb[0] = sizeof(int32_t);
                          }},
                         {"indices with gaps", [](ggml_tensor * op) { op->src[2]->nb[0] = 8; }}});
}

TEST(Supports, SumsAndProducts) {
    for (const bool add : {true, false}) {
        const auto op = [&](Ctx & c, ggml_tensor * b) {
            return add ? ggml_add(c.c, c.f32(64, 4, 3), b) : ggml_mul(c.c, c.f32(64, 4, 3), b);
        };
        Ctx c;
        EXPECT_TRUE(supports_op(op(c, c.f32(1, 2, 3)))) << "one value a row";
        EXPECT_TRUE(supports_op(op(c, c.f32(64, 1)))) << "one row for all";
        EXPECT_FALSE(supports_op(op(c, c.f32(32, 4, 3)))) << "a row that is repeated within a row";
        expect_each_refused([&](Ctx & x) { return op(x, x.f32(64, 4, 3)); },
                            {{"first in half precision",
                              [](ggml_tensor * t) {
                                  t->src[0]->type = GGML_TYPE_F16;
                                  t->src[0]->nb[0] = sizeof(float);
                              }},
                             {"second in half precision",
                              [](ggml_tensor * t) {
                                  t->src[1]->type = GGML_TYPE_F16;
                                  t->src[1]->nb[0] = sizeof(float);
                              }},
                             {"output in half precision", [](ggml_tensor * t) { t->type = GGML_TYPE_F16; }},
                             {"rows that do not repeat evenly", [](ggml_tensor * t) { t->src[1]->ne[1] = 3; }}});
    }
}

TEST(Supports, Norms) {
    expect_each_refused([](Ctx & c) { return ggml_rms_norm(c.c, c.f32(64, 4), 1e-5f); },
                        {{"input in half precision",
                          [](ggml_tensor * op) {
                              op->src[0]->type = GGML_TYPE_F16;
                              op->src[0]->nb[0] = sizeof(float);
                          }},
                         {"input in columns", [](ggml_tensor * op) { op->src[0]->nb[0] = 64; }},
                         {"output in half precision", [](ggml_tensor * op) { op->type = GGML_TYPE_F16; }}});
}

TEST(Supports, Attention) {
    enum { Q, K, V, MASK, SINKS };
    const auto is_half = [](int i) { return [i](ggml_tensor * op) { op->src[i]->type = GGML_TYPE_BF16; }; };
    const auto gaps = [](int i) { return [i](ggml_tensor * op) { op->src[i]->nb[0] *= 2; }; };
    const auto size = [](int i, int dim, int64_t n) { return [=](ggml_tensor * op) { op->src[i]->ne[dim] = n; }; };
    expect_each_refused([](Ctx & c) { return c.attention(); },
                        {{"no keys", size(K, 1, 0)},
                         {"heads of keys and values differ", size(V, 2, 4)},
                         {"streams of keys and values differ", size(V, 3, 2)},
                         {"heads that share keys unevenly", size(Q, 2, 5)},
                         {"streams of queries and keys differ", size(Q, 3, 2)},
                         {"queries in half precision",
                          [](ggml_tensor * op) {
                              op->src[Q]->type = GGML_TYPE_F16;
                              op->src[Q]->nb[0] = sizeof(float);
                          }},
                         {"queries in columns", gaps(Q)},
                         {"keys in columns", gaps(K)},
                         {"values in columns", gaps(V)},
                         {"keys that cannot be read", [](ggml_tensor * op) { op->src[K]->type = GGML_TYPE_I16; }},
                         {"values that cannot be read", [](ggml_tensor * op) { op->src[V]->type = GGML_TYPE_I16; }},
                         {"wide keys", size(K, 0, (1 << 16) + 1)},
                         {"wide values", size(V, 0, (1 << 16) + 1)},
                         {"output in half precision",
                          [](ggml_tensor * op) {
                              op->type = GGML_TYPE_F16;
                              for (size_t & nb : op->nb) {
                                  nb /= 2;
                              }
                          }},
                         {"output with gaps", [](ggml_tensor * op) { op->nb[1] *= 2; }},
                         {"mask of another type", is_half(MASK)},
                         {"mask in columns", gaps(MASK)},
                         {"sinks of another type", [](ggml_tensor * op) { op->src[SINKS]->type = GGML_TYPE_I32; }},
                         {"sinks with gaps", gaps(SINKS)}});
    Ctx c;
    ggml_tensor * op = c.attention();
    op->src[K]->ne[0] = op->src[V]->ne[0] = 1 << 16;
    EXPECT_TRUE(supports_op(op));
    op->src[MASK] = op->src[SINKS] = nullptr;
    EXPECT_TRUE(supports_op(op));
    op->src[K]->type = op->src[V]->type = GGML_TYPE_F32;
    op->src[K]->nb[0] = op->src[V]->nb[0] = sizeof(float);
    EXPECT_TRUE(supports_op(op)) << "a cache in single precision";
}

TEST(Supports, WhatTakesNoWorkAndNothingElse) {
    Ctx c;
    ggml_tensor * x = c.f32(64, 4);
    EXPECT_TRUE(supports_op(x));
    for (ggml_tensor * t : {ggml_reshape_2d(c.c, x, 4, 64), ggml_view_1d(c.c, x, 8, 0),
                            ggml_permute(c.c, x, 1, 0, 2, 3), ggml_transpose(c.c, x)}) {
        EXPECT_TRUE(supports_op(t)) << ggml_op_name(t->op);
    }
    for (ggml_tensor * t :
         {ggml_soft_max(c.c, x), ggml_silu(c.c, x), ggml_cont(c.c, x), ggml_sub(c.c, x, x), ggml_norm(c.c, x, 1e-5f)}) {
        EXPECT_FALSE(supports_op(t)) << ggml_op_name(t->op);
    }
}

// Only what lies between expert products: the rest of a graph stays where it is.
TEST(Supports, ActivationsOfExperts) {
    Ctx c;
    ggml_tensor * bias = ggml_add_id(c.c, c.experts(), c.f32(8, 4), c.i32(2, 3));
    ggml_tensor * scaled = ggml_mul(c.c, c.experts(), c.f32(1, 2, 3));
    for (ggml_tensor * of : {c.experts(), bias, scaled}) {
        for (ggml_tensor * t :
             {ggml_silu(c.c, of), ggml_gelu(c.c, of), ggml_relu(c.c, of), ggml_clamp(c.c, of, -1, 1),
              ggml_sqr(c.c, ggml_relu(c.c, of)), ggml_clamp(c.c, ggml_silu(c.c, of), -1, 1), ggml_scale(c.c, of, 2),
              ggml_tanh(c.c, ggml_scale(c.c, of, 2)), ggml_sigmoid(c.c, of)}) {
            EXPECT_TRUE(supports_op(t)) << ggml_op_name(t->op);
        }
        EXPECT_FALSE(supports_op(ggml_exp(c.c, of)));
    }
    for (ggml_tensor * of : {c.product(), c.f32(8, 2, 3), ggml_add(c.c, c.experts(), c.f32(8, 1))}) {
        for (ggml_tensor * t : {ggml_silu(c.c, of), ggml_relu(c.c, of), ggml_tanh(c.c, of), ggml_sigmoid(c.c, of),
                                ggml_scale(c.c, of, 2), ggml_clamp(c.c, of, -1, 1), ggml_sqr(c.c, of)}) {
            EXPECT_FALSE(supports_op(t)) << ggml_op_name(t->op) << " of " << ggml_op_name(of->op);
        }
    }
    expect_each_refused([](Ctx & x) { return ggml_silu(x.c, x.experts()); },
                        {{"in half precision", [](ggml_tensor * op) { op->type = GGML_TYPE_F16; }},
                         {"in columns", [](ggml_tensor * op) { op->nb[0] = 64; }},
                         {"of columns", [](ggml_tensor * op) { op->src[0]->nb[0] = 64; }}});
}
TEST(Supports, AScaleForEachExpert) {
    const auto scales = [](Ctx & c) {
        return ggml_repeat_4d(c.c, ggml_reshape_3d(c.c, c.f32(4, 1), 1, 4, 1), 1, 4, 3, 1);
    };
    const std::vector<std::pair<const char *, Change>> changes = {
        {"another type", [](ggml_tensor * op) { op->src[0]->type = GGML_TYPE_F16; }},
        {"computed", [](ggml_tensor * op) { op->src[0]->src[0]->op = GGML_OP_CONT; }},
        {"not reshaped", [](ggml_tensor * op) { op->src[0]->op = GGML_OP_VIEW; }},
        {"several numbers", [](ggml_tensor * op) { op->src[0]->ne[0] = 2; }},
        {"in several dimensions", [](ggml_tensor * op) { op->src[0]->ne[2] = 2; }},
        {"repeated in the row", [](ggml_tensor * op) { op->ne[0] = 2; }},
        {"repeated in the column", [](ggml_tensor * op) { op->ne[1] = 8; }}};
    expect_each_refused(scales, changes);
    expect_each_refused([&](Ctx & c) { return ggml_get_rows(c.c, scales(c), c.i32(2, 3)); },
                        {{"of something else", [](ggml_tensor * op) { op->src[0]->op = GGML_OP_CONT; }},
                         {"indices in columns", [](ggml_tensor * op) { op->src[1]->nb[0] = 64; }},
                         {"indices of fewer tokens", [](ggml_tensor * op) { op->src[1]->ne[1] = 2; }}});
}
