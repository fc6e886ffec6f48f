// MUL_MAT_ID: numbers of experts, skewed and repeated routing, experts nobody chose, invalid indices.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "harness.h"

using namespace moe_test;

namespace {

enum class Route { Random, Skewed, Duplicate };

std::vector<int32_t> routing(Route kind, int n_expert, int used, int tokens) {
    std::mt19937 gen(5);
    std::vector<int32_t> ids;
    for (int t = 0; t < tokens; ++t) {
        std::vector<int32_t> all(static_cast<size_t>(n_expert));
        for (int e = 0; e < n_expert; ++e) {
            all[static_cast<size_t>(e)] = e;
        }
        std::shuffle(all.begin(), all.end(), gen);
        for (int s = 0; s < used; ++s) {
            const int32_t pick = all[static_cast<size_t>(s % n_expert)];
            ids.push_back(kind == Route::Random   ? pick
                          : kind == Route::Skewed ? (t % 8 ? s % n_expert : pick)
                                                  : n_expert - 1);
        }
    }
    return ids;
}

struct Case {
    ggml_type type;
    int n_expert, used, tokens;
    bool per_slot = false;  // an input row for every slot, as for the down product
    Route route = Route::Random;
    int64_t k = 256, n = 40;
};

void check(const Case & c) {
    SCOPED_TRACE(std::string(ggml_type_name(c.type)) + " experts=" + std::to_string(c.n_expert) +
                 " tokens=" + std::to_string(c.tokens));
    const auto us = [](int64_t v) { return static_cast<size_t>(v); };
    const auto w = quantize(c.type, normals(us(c.k * c.n * c.n_expert), 21), c.k);
    const auto wf = dequantize(c.type, w, c.k * c.n * c.n_expert);
    const int rows = c.per_slot ? c.used : 1;
    const auto x = normals(us(c.k * rows * c.tokens), 22);
    const auto ids = routing(c.route, c.n_expert, c.used, c.tokens);
    std::vector<double> ref;
    for (int t = 0; t < c.tokens; ++t) {
        for (int s = 0; s < c.used; ++s) {
            const int64_t e = ids[us(t * c.used + s)], row = t * rows + (c.per_slot ? s : 0);
            for (int64_t r = 0; r < c.n; ++r) {
                double sum = 0;
                for (int64_t i = 0; i < c.k; ++i) {
                    sum += wf[us((e * c.n + r) * c.k + i)] * x[us(row * c.k + i)];
                }
                ref.push_back(sum);
            }
        }
    }
    const Pair p = run_both([&](Graph & g) {
        return ggml_mul_mat_id(g.ctx(), g.weight(c.type, {c.k, c.n, c.n_expert}, w), g.input({c.k, rows, c.tokens}, x),
                               g.ids({c.used, c.tokens}, ids));
    });
    EXPECT_TRUE(p.canary);
    const double moe = nmse(p.moe, ref);
    EXPECT_LE(moe, bound_for(c.type, x, c.k) * (ref.size() < 256 ? 8.0 : 1.5));
    if (ref.size() >= 1024) {
        EXPECT_LE(moe, nmse(p.cpu, ref) * 1.1 + 1e-12);
    }
}

}  // namespace

TEST(Experts, Counts) {
    for (int n : {1, 8, 64, 128, 256}) {
        check({GGML_TYPE_Q4_K, n, std::min(n, 4), 9});
    }
}
TEST(Experts, AllTypes) {
    for (ggml_type t : weight_types()) {
        check({t, 8, 2, 11});
    }
}
TEST(Experts, OneTokenAndMany) {
    for (int tokens : {1, 2, 3, 5, 16, 64, 300}) {
        check({GGML_TYPE_Q8_0, 8, 2, tokens});
    }
}
TEST(Experts, RowPerSlot) {
    for (ggml_type t : {GGML_TYPE_Q6_K, GGML_TYPE_Q5_0, GGML_TYPE_MXFP4, GGML_TYPE_F16}) {
        check({t, 8, 3, 7, true});
    }
}
TEST(Experts, SkewedRouting) {
    check({GGML_TYPE_Q4_K, 64, 6, 40, false, Route::Skewed});
}
TEST(Experts, EveryTokenToOneExpertTwice) {
    check({GGML_TYPE_Q4_K, 8, 2, 20, false, Route::Duplicate});
}

TEST(Experts, InvalidExpertsGiveZeros) {
    Graph g(true);
    const auto w = quantize(GGML_TYPE_Q8_0, normals(64 * 32 * 4, 1), 64);
    ggml_tensor * out = ggml_mul_mat_id(g.ctx(), g.weight(GGML_TYPE_Q8_0, {64, 32, 4}, w),
                                        g.input({64, 1, 2}, normals(128, 2)), g.ids({2, 2}, {0, -1, 4, 1}));
    const auto r = g.compute(out);
    for (size_t i = 0; i < 32; ++i) {
        EXPECT_EQ(r[32 + i], 0.0f);
        EXPECT_EQ(r[64 + i], 0.0f);
        EXPECT_NE(r[i], 0.0f);
    }
}

TEST(Experts, SameBitsForAnyNumberOfThreads) {
    const auto w = quantize(GGML_TYPE_Q4_K, normals(512 * 96 * 16, 1), 512);
    const auto x = normals(512 * 33, 2);
    const auto ids = routing(Route::Random, 16, 4, 33);
    std::vector<float> first;
    for (int threads : {1, 2, 3, 7}) {
        Graph g(true, threads);
        const auto r = g.compute(ggml_mul_mat_id(g.ctx(), g.weight(GGML_TYPE_Q4_K, {512, 96, 16}, w),
                                                 g.input({512, 1, 33}, x), g.ids({4, 33}, ids)),
                                 3);
        if (first.empty()) first = r;
        EXPECT_EQ(r, first) << threads << " threads";
    }
}

TEST(Experts, SlowSweep) {
    for (ggml_type t : weight_types()) {
        for (int n : {1, 8, 64, 128, 256}) {
            for (int tokens : {1, 4, 17}) {
                for (Route r : {Route::Random, Route::Skewed, Route::Duplicate}) {
                    check({t, n, std::min(n, 8), tokens, tokens == 4, r, 256, 33});
                }
            }
        }
    }
}
