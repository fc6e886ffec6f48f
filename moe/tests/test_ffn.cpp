// The expert FFN as llama.cpp builds it: fused by the plugin, compared with ggml's CPU backend step by step.
#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

using namespace moe_test;

namespace {

struct Shape {
    ggml_type up = GGML_TYPE_Q4_K, down = GGML_TYPE_Q6_K;
    int64_t embd = 256, ff = 512, experts = 8, used = 2, tokens = 5;
    bool bias = false, up_first = true, weighted = true, mark_outputs = false;
    ggml_glu_op glu = GGML_GLU_OP_SWIGLU;
};

size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

ggml_tensor * activation(ggml_context * c, const Shape & s, ggml_tensor * gate, ggml_tensor * up) {
    if (s.glu == GGML_GLU_OP_SWIGLU_OAI) return ggml_swiglu_oai(c, gate, up, 1.702f, 7.0f);
    if (s.glu == GGML_GLU_OP_SWIGLU_CLAMP) return ggml_swiglu_clamp(c, gate, up, 1.5f);
    return ggml_glu_split(c, gate, up, s.glu);
}

ggml_tensor * build(Graph & g, const Shape & s) {
    ggml_context * c = g.ctx();
    const auto mat = [&](ggml_type t, int64_t k, int64_t n, uint32_t seed, const char * name) {
        return g.weight(t, {k, n, s.experts}, quantize(t, normals(us(k * n * s.experts), seed, 0.08f), k), name);
    };
    const auto bias = [&](int64_t n, uint32_t seed) {
        const auto v = normals(us(n * s.experts), seed, 0.5f);
        return g.weight(GGML_TYPE_F32, {n, s.experts}, quantize(GGML_TYPE_F32, v, n));
    };
    ggml_tensor * x = g.input({s.embd, 1, s.tokens}, normals(us(s.embd * s.tokens), 31));
    std::vector<int32_t> route;
    for (int64_t t = 0; t < s.tokens; ++t) {
        for (int64_t u = 0; u < s.used; ++u) {
            route.push_back(static_cast<int32_t>((t * 3 + u * 5 + u * u) % s.experts));
        }
    }
    ggml_tensor * ids = g.ids({s.used, s.tokens}, route);
    ggml_tensor * slot_weights = g.input({1, s.used, s.tokens}, normals(us(s.used * s.tokens), 32));
    const auto product = [&](ggml_type t, int64_t k, int64_t n, ggml_tensor * in, uint32_t seed, const char * name) {
        ggml_tensor * p = ggml_mul_mat_id(c, mat(t, k, n, seed, name), in, ids);
        if (s.mark_outputs) ggml_set_output(p);
        return s.bias ? ggml_add_id(c, p, bias(n, seed + 50), ids) : p;
    };
    ggml_tensor * first = product(s.up, s.embd, s.ff, x, 33, "blk.0.ffn_a_exps.weight");
    ggml_tensor * second = product(s.up, s.embd, s.ff, x, 34, "blk.0.ffn_b_exps.weight");
    ggml_tensor * h = activation(c, s, s.up_first ? second : first, s.up_first ? first : second);
    ggml_tensor * y = product(s.down, s.ff, s.embd, h, 35, "blk.0.ffn_down_exps.weight");
    if (s.weighted) y = ggml_mul(c, y, slot_weights);
    ggml_tensor * out = nullptr;
    for (int64_t u = 0; u < s.used; ++u) {
        ggml_tensor * v = ggml_view_2d(c, y, s.embd, s.tokens, y->nb[2], us(u) * y->nb[1]);
        out = out ? ggml_add(c, out, v) : v;
    }
    return out;
}

double difference(const Shape & s) {
    const Pair p = run_both([&](Graph & g) { return build(g, s); });
    EXPECT_TRUE(p.canary);
    return nmse(p.moe, std::vector<double>(p.cpu.begin(), p.cpu.end()));
}

// Both sides round the input and the hidden row to int8: four times the bound of one rounding, both sides counted.
constexpr double QUANTIZED_ERROR = 4e-4;
constexpr double FLOAT_ERROR =
    1e-5;  // ggml rounds activations to F16 for F16 weights, and with AVX512-FP16 sums in F16

}  // namespace

TEST(Ffn, Quantized) {
    EXPECT_LT(difference({}), QUANTIZED_ERROR);
}
TEST(Ffn, GateBeforeUp) {
    Shape s;
    s.up_first = false;
    EXPECT_LT(difference(s), QUANTIZED_ERROR);
}
TEST(Ffn, Float) {
    Shape s;
    s.up = s.down = GGML_TYPE_F16;
    EXPECT_LT(difference(s), FLOAT_ERROR);
}
TEST(Ffn, Bf16) {
    Shape s;
    s.up = s.down = GGML_TYPE_BF16;
    EXPECT_LT(difference(s), 5e-5);  // ggml rounds activations to BF16
}
TEST(Ffn, EveryActivation) {
    for (int op = 0; op < GGML_GLU_OP_COUNT; ++op) {
        Shape s;
        s.glu = static_cast<ggml_glu_op>(op);
        EXPECT_LT(difference(s), QUANTIZED_ERROR) << op;
    }
}
TEST(Ffn, GptOssLike) {
    Shape s;
    s.up = s.down = GGML_TYPE_MXFP4;
    s.bias = true;
    s.used = 4;
    s.glu = GGML_GLU_OP_SWIGLU_OAI;
    EXPECT_LT(difference(s), QUANTIZED_ERROR);
}
TEST(Ffn, DeepSeekLikeMixedTypes) {
    Shape s;
    s.down = GGML_TYPE_Q5_0;
    s.experts = 64;
    s.used = 6;
    s.ff = 352;
    for (int64_t t : {1, 3, 40}) {
        s.tokens = t;
        EXPECT_LT(difference(s), QUANTIZED_ERROR) << t;
    }
}
TEST(Ffn, Unweighted) {
    Shape s;
    s.weighted = false;
    s.used = 3;
    EXPECT_LT(difference(s), QUANTIZED_ERROR);
}
TEST(Ffn, OneExpertPerToken) {
    Shape s;
    s.used = 1;
    EXPECT_LT(difference(s), QUANTIZED_ERROR);
}
TEST(Ffn, IntermediateMarkedAsOutputIsWritten) {
    Shape s;
    s.mark_outputs = true;  // forbids the fused path
    EXPECT_LT(difference(s), QUANTIZED_ERROR);
}
TEST(Ffn, FusedEqualsUnfused) {
    for (int64_t tokens : {1, 7, 70}) {
        Shape s;
        s.tokens = tokens;
        Graph a(true), b(true);
        const auto fused = a.compute(build(a, s));
        s.mark_outputs = true;
        const auto plain = b.compute(build(b, s));
        EXPECT_LT(nmse(fused, std::vector<double>(plain.begin(), plain.end())), 1e-12);
    }
}
TEST(Ffn, SameBitsForAnyNumberOfThreads) {
    Shape s;
    s.tokens = 21;
    std::vector<float> first;
    for (int threads : {1, 2, 5}) {
        Graph g(true, threads);
        const auto r = g.compute(build(g, s), 2);
        if (first.empty()) first = r;
        EXPECT_EQ(r, first) << threads;
    }
}
