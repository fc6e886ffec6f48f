// What is neither a product nor attention, element by element: shapes that are repeated, strides, clamps, indices.
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/ops.h"
#include "harness.h"

using namespace moe_test;

namespace {

size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

void expect_same(const std::function<ggml_tensor *(Graph &)> & build) {
    const Pair p = run_both(build);
    EXPECT_TRUE(p.canary);
    ASSERT_EQ(p.moe.size(), p.cpu.size());
    for (size_t i = 0; i < p.moe.size(); ++i) {
        ASSERT_NEAR(p.moe[i], p.cpu[i], 1e-6 + 2e-6 * std::fabs(p.cpu[i])) << i;
    }
}

ggml_tensor * input(Graph & g, std::vector<int64_t> ne, uint32_t seed) {
    int64_t n = 1;
    for (const int64_t d : ne) {
        n *= d;
    }
    return g.input(ne, normals(us(n), seed));
}

}  // namespace

TEST(Ops, SumsAndProductsOfEveryRepeatedShape) {
    const std::vector<std::vector<int64_t>> shapes = {{6, 4, 3, 2}, {1, 4, 3, 2}, {6, 1, 1, 1},
                                                      {6, 2, 1, 1}, {6, 4, 1, 2}, {6, 1, 3, 1},
                                                      {1, 1, 1, 2}, {1, 1, 1, 1}, {6, 4, 3, 1}};
    for (const auto & shape : shapes) {
        for (const bool add : {true, false}) {
            SCOPED_TRACE(testing::Message()
                         << shape[0] << "x" << shape[1] << "x" << shape[2] << "x" << shape[3] << (add ? " +" : " *"));
            expect_same([&](Graph & g) {
                ggml_tensor *a = input(g, {6, 4, 3, 2}, 1), *b = input(g, shape, 2);
                return add ? ggml_add(g.ctx(), a, b) : ggml_mul(g.ctx(), a, b);
            });
        }
    }
}
TEST(Ops, RowsInAnyOrder) {
    const auto turned = [](Graph & g, uint32_t seed) {
        return ggml_permute(g.ctx(), input(g, {6, 2, 4, 3}, seed), 0, 3, 1, 2);
    };
    expect_same([&](Graph & g) { return ggml_add(g.ctx(), turned(g, 1), turned(g, 2)); });
    expect_same([&](Graph & g) { return ggml_add(g.ctx(), turned(g, 1), input(g, {6, 4, 3, 2}, 2)); });
    expect_same([&](Graph & g) { return ggml_mul(g.ctx(), input(g, {6, 4, 3, 2}, 1), turned(g, 2)); });
    expect_same([&](Graph & g) { return ggml_rms_norm(g.ctx(), turned(g, 1), 1e-5f); });
    expect_same([&](Graph & g) { return ggml_add_inplace(g.ctx(), turned(g, 1), turned(g, 2)); });
}
TEST(Ops, ManyRowsOnManyThreads) {
    for (int threads : {1, 4}) {
        Graph g(true, threads);
        const auto x = normals(64 * 1001, 1), y = normals(64 * 1001, 2);
        const auto r = g.compute(ggml_add(g.ctx(), g.input({64, 1001}, x), g.input({64, 1001}, y)));
        for (size_t i = 0; i < r.size(); ++i) {
            ASSERT_EQ(r[i], x[i] + y[i]) << i;
        }
        EXPECT_TRUE(g.canary_ok());
    }
}
TEST(Ops, NormsOfEveryLength) {
    for (int64_t n = 1; n <= 40; ++n) {
        for (float eps : {1e-5f, 0.5f}) {
            expect_same([&](Graph & g) { return ggml_rms_norm(g.ctx(), input(g, {n, 5}, 1), eps); });
        }
    }
    Graph g(true);
    const auto r = g.compute(ggml_rms_norm(g.ctx(), g.input({17, 1}, std::vector<float>(17, 0.0f)), 1e-6f));
    EXPECT_EQ(r, std::vector<float>(17, 0.0f));
}
TEST(Ops, BiasesOfExperts) {
    const std::vector<int32_t> ids = {3, 0, 7, 1, 2, 2};
    expect_same([&](Graph & g) {
        return ggml_add_id(g.ctx(), input(g, {5, 2, 3}, 1), input(g, {5, 8}, 2), g.ids({2, 3}, ids));
    });
    expect_same([&](Graph & g) {  // indices and biases with gaps
        ggml_tensor *wide = g.ids({3, 3}, {3, 0, 99, 7, 1, 99, 2, 2, 99}), *bias = input(g, {9, 8}, 2);
        return ggml_add_id(g.ctx(), input(g, {5, 2, 3}, 1), ggml_view_2d(g.ctx(), bias, 5, 8, bias->nb[1], 8),
                           ggml_view_2d(g.ctx(), wide, 2, 3, wide->nb[1], 0));
    });
}
TEST(Ops, InvalidIndicesAddNothing) {
    Graph g(true);
    const auto x = normals(5 * 6, 1), b = normals(5 * 4, 2);
    const std::vector<int32_t> ids = {-1, 3, 4, 0, 1000, -5};
    const auto r = g.compute(ggml_add_id(g.ctx(), g.input({5, 2, 3}, x), g.input({5, 4}, b), g.ids({2, 3}, ids)));
    for (size_t i = 0; i < r.size(); ++i) {
        const int32_t e = ids[i / 5];
        EXPECT_EQ(r[i], e >= 0 && e < 4 ? x[i] + b[us(e) * 5 + i % 5] : x[i]) << i;
    }
}
TEST(Ops, GatedActivationsOfHalfRowsAndWholeOnes) {
    for (int op = 0; op < GGML_GLU_OP_COUNT; ++op) {
        const auto kind = static_cast<ggml_glu_op>(op);
        if (kind == GGML_GLU_OP_SWIGLU_OAI || kind == GGML_GLU_OP_SWIGLU_CLAMP) continue;  // below
        SCOPED_TRACE(op);
        // ggml's own tables of GELU are in half precision
        const double bound = kind == GGML_GLU_OP_GEGLU || kind == GGML_GLU_OP_GEGLU_QUICK ? 1e-6 : 1e-11;
        for (const auto & build : std::vector<std::function<ggml_tensor *(Graph &)>>{
                 [&](Graph & g) {
                     return ggml_glu(g.ctx(), input(g, {38, 3, 2, 2}, 1), kind, false);
                 },
                 [&](Graph & g) {
                     return ggml_glu(g.ctx(), input(g, {38, 3, 2, 2}, 1), kind, true);
                 },
                 [&](Graph & g) {
                     return ggml_glu_split(g.ctx(), input(g, {19, 3, 2, 2}, 1), input(g, {19, 3, 2, 2}, 2), kind);
                 },
                 [&](Graph & g) {
                     ggml_tensor * wide = input(g, {50, 6}, 1);
                     const auto part = [&](size_t at) {
                         return ggml_view_2d(g.ctx(), wide, 19, 6, wide->nb[1], at * sizeof(float));
                     };
                     return ggml_glu_split(g.ctx(), part(2), part(25), kind);
                 }}) {
            const Pair p = run_both(build);
            EXPECT_LT(nmse(p.moe, std::vector<double>(p.cpu.begin(), p.cpu.end())), bound);
            EXPECT_TRUE(p.canary);
        }
    }
}
TEST(Ops, ParametersOfActivations) {
    ggml_context * c = ggml_init({1u << 16, nullptr, true});
    ggml_tensor * x = ggml_new_tensor_2d(c, GGML_TYPE_F32, 8, 2);
    const moe::GluParams oai = moe::glu_params(ggml_swiglu_oai(c, x, x, 1.5f, 6.0f)),
                         clamp = moe::glu_params(ggml_swiglu_clamp(c, x, x, 2.5f));
    EXPECT_EQ(oai.op, moe::Glu::SwiGLU_OAI);
    EXPECT_EQ(oai.alpha, 1.5f);
    EXPECT_EQ(oai.limit, 6.0f);
    EXPECT_EQ(clamp.op, moe::Glu::SwiGLU_Clamp);
    EXPECT_EQ(clamp.limit, 2.5f);
    const std::pair<ggml_glu_op, moe::Glu> kinds[] = {{GGML_GLU_OP_REGLU, moe::Glu::ReGLU},
                                                      {GGML_GLU_OP_GEGLU, moe::Glu::GeGLU},
                                                      {GGML_GLU_OP_SWIGLU, moe::Glu::SwiGLU},
                                                      {GGML_GLU_OP_GEGLU_ERF, moe::Glu::GeGLU_Erf},
                                                      {GGML_GLU_OP_GEGLU_QUICK, moe::Glu::GeGLU_Quick}};
    for (const auto & [theirs, ours] : kinds) {
        EXPECT_EQ(moe::glu_params(ggml_glu_split(c, x, x, theirs)).op, ours);
    }
    ggml_free(c);
}
TEST(Ops, ClampedActivationsThroughAGraph) {
    const std::vector<float> values = {-100, -8, -7.5f, -7, -6.5f, -1, -0.0f, 0, 0.5f, 1, 6.5f, 7, 7.5f, 8, 100, 3};
    std::vector<float> gate, up;
    for (const float a : values) {
        for (const float b : values) {
            gate.push_back(a), up.push_back(b);
        }
    }
    expect_same([&](Graph & g) {
        return ggml_swiglu_oai(g.ctx(), g.input({256, 1}, gate), g.input({256, 1}, up), 1.702f, 7.0f);
    });
    expect_same([&](Graph & g) {
        return ggml_swiglu_clamp(g.ctx(), g.input({256, 1}, gate), g.input({256, 1}, up), 7.0f);
    });
}
