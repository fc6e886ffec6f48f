// From a graph to jobs: routing, slots without an expert, products that share their input, memory, failures.
#include <gtest/gtest.h>

#include <malloc.h>

#include <cstring>
#include <new>

#include "allocations.h"
#include "cpu/tensor.h"
#include "ggml-backend-impl.h"
#include "graph/graph.h"
#include "graph/match.h"
#include "harness.h"

using namespace moe_test;

namespace {

size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

#if !defined(_WIN32)  // where nobody tells
// Of what Buffer has allocated.
size_t usable_size(void * p) {
    return malloc_usable_size(p);
}
#endif

moe::Context & context_of(Graph & g) {
    return *static_cast<moe::Context *>(g.backend()->context);
}

// A fused FFN of two experts per token, or the same as single operations.
struct SmallFfn {
    ggml_tensor *glu = nullptr, *down = nullptr, *out = nullptr;

    SmallFfn(Graph & g, const std::vector<int32_t> & ids, bool fused, bool sum) {
        ggml_context * c = g.ctx();
        constexpr int64_t k = 64, ff = 64, experts = 4;
        const auto tokens = static_cast<int64_t>(ids.size() / 2);
        const auto weights = [&](uint32_t seed) {
            return g.weight(GGML_TYPE_F32, {k, ff, experts},
                            quantize(GGML_TYPE_F32, normals(us(k * ff * experts), seed, 0.2f), k));
        };
        ggml_tensor *x = g.input({k, 1, tokens}, normals(us(k * tokens), 1)), *i = g.ids({2, tokens}, ids);
        ggml_tensor *gate = ggml_mul_mat_id(c, weights(2), x, i), *up = ggml_mul_mat_id(c, weights(3), x, i);
        if (!fused) ggml_set_output(gate);
        glu = ggml_swiglu_split(c, gate, up);
        down = out = ggml_mul_mat_id(c, weights(4), glu, i);
        g.expand(down);
        if (!sum) return;
        ggml_tensor * slot[2];
        for (size_t s = 0; s < 2; ++s) {
            slot[s] = ggml_view_2d(c, down, k, tokens, down->nb[2], s * down->nb[1]);
        }
        out = ggml_add(c, slot[0], slot[1]);
    }
};

const std::vector<int32_t> kInvalid = {0, -1, 4,    3, 2,
                                       1, -7, 1000, 3, 3};  // of four experts: tokens 0, 1 and 3 lack some

bool is_zero(const std::vector<float> & v, size_t first, size_t n) {
    return std::all_of(v.begin() + static_cast<ptrdiff_t>(first), v.begin() + static_cast<ptrdiff_t>(first + n),
                       [](float f) { return f == 0.0f; });
}

}  // namespace

TEST(Graph, SlotsAreGroupedByExpertInOrder) {
    Graph g(true);
    ggml_tensor * w = g.weight(GGML_TYPE_F32, {8, 4, 5}, quantize(GGML_TYPE_F32, normals(160, 1), 8));
    g.compute(ggml_mul_mat_id(g.ctx(), w, g.input({8, 1, 3}, normals(24, 2)), g.ids({2, 3}, {4, 1, -1, 4, 1, 5})));
    const moe::Routing & r = context_of(g).job.routing;
    EXPECT_EQ(r.used, 2);
    EXPECT_EQ(r.slots, 6);
    ASSERT_EQ(r.groups, 2);
    EXPECT_EQ(std::vector<int32_t>(r.expert, r.expert + 2), (std::vector<int32_t>{1, 4}));
    EXPECT_EQ(std::vector<int32_t>(r.begin, r.begin + 3), (std::vector<int32_t>{0, 2, 4}));
    EXPECT_EQ(std::vector<int32_t>(r.slot, r.slot + 6), (std::vector<int32_t>{1, 4, 0, 3, 2, 5}));
    EXPECT_EQ(context_of(g).job.tokens, 3);
}
// llama.cpp's indices are the first columns of a sorted list of all experts.
TEST(Graph, IndicesWithGaps) {
    const auto w = quantize(GGML_TYPE_F32, normals(32 * 16 * 4, 1), 32);
    const auto run = [&](bool gaps) {
        Graph g(true);
        ggml_tensor * ids =
            gaps ? g.ids({4, 3}, {3, 1, 9, 9, 0, 2, 9, 9, 1, 0, 9, 9}) : g.ids({2, 3}, {3, 1, 0, 2, 1, 0});
        if (gaps) ids = ggml_view_2d(g.ctx(), ids, 2, 3, ids->nb[1], 0);
        return g.compute(ggml_mul_mat_id(g.ctx(), g.weight(GGML_TYPE_F32, {32, 16, 4}, w),
                                         g.input({32, 1, 3}, normals(96, 2)), ids));
    };
    EXPECT_EQ(run(true), run(false));
    Graph g(true);  // every other index
    ggml_tensor * ids = g.ids({4, 3}, {3, 9, 1, 9, 0, 9, 2, 9, 1, 9, 0, 9});
    ggml_tensor * every_other = ggml_view_2d(g.ctx(), ids, 2, 3, ids->nb[1], 0);
    every_other->nb[0] = 8;
    EXPECT_EQ(g.compute(ggml_mul_mat_id(g.ctx(), g.weight(GGML_TYPE_F32, {32, 16, 4}, w),
                                        g.input({32, 1, 3}, normals(96, 2)), every_other)),
              run(false));
}

TEST(Graph, FusedSlotsWithoutAnExpertAreZero) {
    for (const bool sum : {false, true}) {
        for (int threads : {1, 3}) {
            Graph a(true, threads), b(true, threads);
            const SmallFfn fused(a, kInvalid, true, sum), plain(b, kInvalid, false, sum);
            const auto got = a.compute(fused.out), want = b.compute(plain.out);
            EXPECT_EQ(got, want) << "sum " << sum;
            const auto glu = a.read(fused.glu);
            EXPECT_EQ(glu, b.read(plain.glu));
            for (size_t slot = 0; slot < kInvalid.size(); ++slot) {
                const bool valid = kInvalid[slot] >= 0 && kInvalid[slot] < 4;
                EXPECT_NE(is_zero(glu, slot * 64, 64), valid) << slot;
                if (!sum) {
                    EXPECT_NE(is_zero(got, slot * 64, 64), valid) << slot;
                }
            }
            if (sum) {
                EXPECT_TRUE(is_zero(got, 3 * 64, 64)) << "a token without any expert";
            }
        }
    }
}
// The allocator may give an output the memory of an input that the single operations would have finished with.
TEST(Graph, FusedOverMemoryThatIsUsedAgain) {
    for (const bool sum : {false, true}) {
        for (const auto & ids : {kInvalid, std::vector<int32_t>{0, 1, 2, 3, 1, 0, 3, 2, 2, 1}}) {
            Graph a(true), b(true);
            a.reuse_memory();
            const SmallFfn fused(a, ids, true, sum), plain(b, ids, false, sum);
            EXPECT_EQ(a.compute(fused.out), b.compute(plain.out));
        }
    }
}
TEST(Graph, EveryExpertOfATokenInvalid) {
    Graph g(true);
    ggml_tensor * w = g.weight(GGML_TYPE_Q8_0, {32, 40, 4}, quantize(GGML_TYPE_Q8_0, normals(32 * 40 * 4, 1), 32));
    const auto r =
        g.compute(ggml_mul_mat_id(g.ctx(), w, g.input({32, 1, 2}, normals(64, 2)), g.ids({2, 2}, {-1, 4, 9, -2})));
    EXPECT_TRUE(is_zero(r, 0, r.size()));
    EXPECT_TRUE(g.canary_ok());
    EXPECT_EQ(context_of(g).job.routing.groups, 0);
}

// Products of one input, one after another, are one region: as many as there is room for, in two formats of
// activations.
TEST(Graph, ProductsThatShareTheirInput) {
    const std::vector<ggml_type> types = {GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_Q4_K, GGML_TYPE_F32, GGML_TYPE_Q8_0,
                                          GGML_TYPE_Q6_K, GGML_TYPE_F32,  GGML_TYPE_F32,  GGML_TYPE_F32, GGML_TYPE_F32,
                                          GGML_TYPE_F32,  GGML_TYPE_F32,  GGML_TYPE_F32,  GGML_TYPE_Q4_0};
    const auto product = [](Graph & g, ggml_type t, int64_t rows, ggml_tensor * x) {
        return ggml_mul_mat(g.ctx(), g.weight(t, {256, rows}, quantize(t, normals(us(256 * rows), 7), 256)), x);
    };
    for (int threads : {1, 2, 5}) {
        Graph g(true, threads);
        ggml_tensor *x = g.input({256, 3}, normals(768, 1)), *other = g.input({256, 3}, normals(768, 2));
        std::vector<ggml_tensor *> all;
        for (size_t i = 0; i < types.size(); ++i) {
            all.push_back(product(g, types[i], 33 + static_cast<int64_t>(i), i == 6 ? other : x));
            g.expand(all.back());
        }
        g.compute(all.back());
        for (size_t i = 0; i < types.size(); ++i) {
            Graph alone(true);
            EXPECT_EQ(g.read(all[i]), alone.compute(product(alone, types[i], 33 + static_cast<int64_t>(i),
                                                            alone.input({256, 3}, normals(768, i == 6 ? 2 : 1)))))
                << i;
        }
    }
}
// Other products have one group of all their rows, whatever was routed before.
TEST(Graph, RowsOfOtherProductsAreOneGroup) {
    Graph g(true);
    ggml_tensor * w = g.weight(GGML_TYPE_F32, {8, 4, 5}, quantize(GGML_TYPE_F32, normals(160, 1), 8));
    g.expand(ggml_mul_mat_id(g.ctx(), w, g.input({8, 1, 3}, normals(24, 2)), g.ids({2, 3}, {4, 1, -1, 4, 1, 5})));
    ggml_tensor * dense = g.weight(GGML_TYPE_F32, {8, 4}, quantize(GGML_TYPE_F32, normals(32, 1), 8));
    g.compute(ggml_mul_mat(g.ctx(), dense, g.input({8, 2}, normals(16, 2))));
    const moe::Routing & r = context_of(g).job.routing;
    EXPECT_EQ((std::vector<int32_t>{r.groups, r.used, r.slots}), (std::vector<int32_t>{1, 1, 2}));
    EXPECT_EQ(std::vector<int32_t>(r.expert, r.expert + 5), (std::vector<int32_t>{0, 0, 2, 0, 1})) << "and no gaps";
    EXPECT_EQ(r.begin, r.expert + 1);
    EXPECT_EQ(r.slot, r.begin + 2);
    EXPECT_EQ(context_of(g).job.tokens, 2);
}
// Each head has a group of its rows; where heads share weights, all of them.
TEST(Graph, HeadsAreGroups) {
    Graph g(true);
    ggml_tensor * w = g.weight(GGML_TYPE_F32, {8, 4, 3}, quantize(GGML_TYPE_F32, normals(96, 1), 8));
    g.compute(ggml_mul_mat(g.ctx(), w, g.input({8, 2, 6}, normals(96, 2))));
    const moe::Routing & r = context_of(g).job.routing;
    EXPECT_EQ((std::vector<int32_t>{r.groups, r.used, r.slots}), (std::vector<int32_t>{3, 1, 12}));
    EXPECT_EQ(std::vector<int32_t>(r.expert, r.expert + 3), (std::vector<int32_t>{0, 1, 2}));
    EXPECT_EQ(std::vector<int32_t>(r.begin, r.begin + 4), (std::vector<int32_t>{0, 4, 8, 12}));
    for (int32_t i = 0; i < 12; ++i) {
        EXPECT_EQ(r.slot[i], i);
    }
}
// Products of one input, some with weights for each head and some with the same for all of them, then activations of
// both kinds and a product of those: only those that group their rows alike are one job.
TEST(Graph, ProductsThatGroupTheirRowsOtherwiseAreApart) {
    const auto product = [](Graph & g, int64_t heads, uint32_t seed, ggml_tensor * x) {
        const auto w = quantize(GGML_TYPE_F32, normals(us(32 * 32 * heads), seed, 0.2f), 32);
        return ggml_mul_mat(g.ctx(), g.weight(GGML_TYPE_F32, {32, 32, heads}, w), x);
    };
    for (const std::vector<int64_t> & heads :
         {std::vector<int64_t>{3, 1, 3}, {1, 3, 1}, {3, 3, 1}, {1, 1, 3}, {3, 3, 3}}) {
        const Pair p = run_both([&](Graph & g) {
            ggml_tensor * x = g.input({32, 4, 3}, normals(32 * 12, 1));
            ggml_tensor *gate = product(g, heads[0], 2, x), *up = product(g, heads[1], 3, x);
            return product(g, heads[2], 4, ggml_swiglu_split(g.ctx(), gate, up));
        });
        EXPECT_LT(nmse(p.moe, std::vector<double>(p.cpu.begin(), p.cpu.end())), 1e-9);
        const Pair q = run_both([&](Graph & g) {
            ggml_tensor * x = g.input({32, 4, 3}, normals(32 * 12, 1));
            ggml_tensor *a = product(g, heads[0], 2, x), *b = product(g, heads[1], 3, x);
            ggml_tensor * d = product(g, heads[2], 4, x);
            for (ggml_tensor * t : {a, b, d}) {
                g.expand(t);
            }
            return ggml_add(g.ctx(), ggml_add(g.ctx(), a, b), d);
        });
        EXPECT_LT(nmse(q.moe, std::vector<double>(q.cpu.begin(), q.cpu.end())), 1e-10);
    }
}
TEST(Graph, RegionsOfSharedProductsAreFull) {
    Graph g(true);
    ggml_tensor * x = g.input({32, 2}, normals(64, 1));
    const auto product = [&](ggml_type t) {
        g.expand(ggml_mul_mat(g.ctx(), g.weight(t, {32, 8}, quantize(t, normals(256, 7), 32)), x));
    };
    for (int i = 0; i < moe::kMaxMats + 3; ++i) {
        product(i % 2 ? GGML_TYPE_F32 : GGML_TYPE_Q8_0);
    }
    g.compute(ggml_graph_node(g.graph(), 0));
    EXPECT_EQ(context_of(g).job.up.n_mats, 3) << "what did not fit the first region";
    EXPECT_EQ(context_of(g).job.up.n_acts, 2);
    // A third format of activations begins a region of its own.
    Graph h(true);
    ggml_tensor * y = h.input({32, 2}, normals(64, 1));
    for (ggml_type t : {GGML_TYPE_F32, GGML_TYPE_Q8_0, GGML_TYPE_F32, GGML_TYPE_Q5_0}) {
        h.expand(ggml_mul_mat(h.ctx(), h.weight(t, {32, 8}, quantize(t, normals(256, 7), 32)), y));
    }
    h.compute(ggml_graph_node(h.graph(), 0));
    const moe::TypeKernel * types = context_of(h).table->types;
    const auto act = [&](moe::WType t) { return types[static_cast<int>(t)].act; };
    if (!(act(moe::WType::Q8_0) == act(moe::WType::Q5_0))) {
        EXPECT_EQ(context_of(h).job.up.n_mats, 1);
    }
}
// Input rows of four dimensions, in another order than they lie in memory.
TEST(Graph, InputsWithStrides) {
    const Pair p = run_both([](Graph & g) {
        ggml_tensor * x = ggml_permute(g.ctx(), g.input({64, 3, 4, 2}, normals(64 * 24, 1)), 0, 2, 3, 1);
        return ggml_mul_mat(g.ctx(),
                            g.weight(GGML_TYPE_F32, {64, 40}, quantize(GGML_TYPE_F32, normals(64 * 40, 2), 64)), x);
    });
    EXPECT_LT(nmse(p.moe, std::vector<double>(p.cpu.begin(), p.cpu.end())), 1e-10);
    const Pair q = run_both([](Graph & g) {
        ggml_tensor * x = ggml_permute(g.ctx(), g.input({64, 5, 2}, normals(640, 1)), 0, 2, 1, 3);
        return ggml_mul_mat_id(g.ctx(),
                               g.weight(GGML_TYPE_F32, {64, 40, 3}, quantize(GGML_TYPE_F32, normals(64 * 120, 2), 64)),
                               x, g.ids({2, 5}, {0, 1, 2, 0, 1, 2, 0, 1, 2, 0}));
    });
    EXPECT_LT(nmse(q.moe, std::vector<double>(q.cpu.begin(), q.cpu.end())), 1e-10);
}
TEST(Graph, MoreSlotsThanOnePassInEveryPhase) {
    constexpr int64_t tokens = moe::kMaxChunk + 5;
    const std::vector<int32_t> ids(us(2 * tokens), 1);
    for (const bool sum : {false, true}) {
        Graph a(true, 3), b(true, 1);
        const SmallFfn fused(a, ids, true, sum), plain(b, ids, false, sum);
        const auto got = a.compute(fused.out), want = b.compute(plain.out);
        EXPECT_LT(nmse(got, std::vector<double>(want.begin(), want.end())), 1e-12);
        EXPECT_TRUE(a.canary_ok());
    }
}

TEST(Job, WorkIsAllProducts) {
    moe::Job job;
    int32_t begin[3] = {0, 4, 6};
    job.routing.groups = 2;
    job.routing.begin = begin;
    job.up.k = 10;
    job.up.n_mats = 2;
    job.up.mats[0].w.rows = 3;
    job.up.mats[1].w.rows = 5;
    EXPECT_EQ(moe::job_work(job), 6.0 * 8 * 10);
    job.has_down = true;
    job.down.k = 7;
    job.down.mats[0].w.rows = 11;
    EXPECT_EQ(moe::job_work(job), 6.0 * 8 * 10 + 6.0 * 11 * 7);
}
TEST(Job, RowsOfTensorsWithGaps) {
    ggml_context * c = ggml_init({1u << 16, nullptr, false});
    ggml_tensor * t = ggml_new_tensor_4d(c, GGML_TYPE_F32, 2, 3, 4, 5);
    const auto expect_rows = [](const ggml_tensor * v, int64_t outer) {
        const moe::Rows r = moe::rows_of(v);
        EXPECT_EQ(r.count(), ggml_nrows(v));
        EXPECT_EQ(r.ne[1] * r.ne[2], outer) << "what lies one after another is one dimension";
        for (int64_t i = 0; i < ggml_nrows(v); ++i) {
            EXPECT_EQ(r.at(i), moe::row_at(v, i % v->ne[1], i / v->ne[1] % v->ne[2], i / v->ne[1] / v->ne[2])) << i;
        }
    };
    expect_rows(t, 1);
    expect_rows(ggml_view_4d(c, t, 2, 2, 4, 5, t->nb[1], t->nb[2], t->nb[3], 0), 20);
    expect_rows(ggml_view_4d(c, t, 2, 3, 2, 5, t->nb[1], t->nb[2], t->nb[3], t->nb[2]), 5);
    expect_rows(ggml_permute(c, t, 0, 2, 3, 1), 12);  // the last becomes the first, the others stay together
    expect_rows(ggml_view_4d(c, t, 2, 3, 1, 5, t->nb[1], t->nb[2], t->nb[3], 0), 5);
    ggml_free(c);
}

TEST(Buffers, GrowAndStay) {
    moe::Buffer b;
    void * p = b.need(100);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
    EXPECT_EQ(b.need(4096), p) << "whole pages";
    for (size_t n : {4097, 5000, 100000, 1000001}) {
        p = b.need(n);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u);
#if !defined(_WIN32)
        EXPECT_GE(usable_size(p), n + n / 4) << "a quarter more, so that what grows slowly is not copied each time";
        EXPECT_LE(usable_size(p), n + n / 4 + 8192);
#endif
        EXPECT_EQ(b.need(n), p);
        EXPECT_EQ(b.need(1), p);
    }
    EXPECT_THROW(b.need(size_t(1) << 60), std::bad_alloc);
    EXPECT_EQ(b.need(1), p) << "what was there is kept";
}

// A token of decoding is a graph like the one before.
TEST(Graph, AllocatesNothingOnceItHasRun) {
    for (const int threads : {1, 2}) {
        Graph g(true, threads);
        const SmallFfn ffn(g, {0, 1, 2, 3}, true, true);
        ggml_set_name(ffn.glu->src[0]->src[0], "blk.77.ffn_gate_exps.weight");
        ggml_set_name(ffn.glu->src[1]->src[0], "blk.77.ffn_up_exps.weight");
        ggml_set_name(ffn.down->src[0], "blk.77.ffn_down_exps.weight");
        g.compute(ffn.out);
        const size_t before = moe_test::allocations();
        EXPECT_EQ(ggml_backend_graph_compute(g.backend(), g.graph()), GGML_STATUS_SUCCESS);
        EXPECT_EQ(moe_test::allocations() - before, 0u) << threads;
        EXPECT_GT(before, 0u) << "they are counted";
    }
}

TEST(GraphStatus, AnUnknownOperationFails) {
    Graph g(true);
    ggml_tensor * x = g.input({8, 4}, normals(32, 1));
    ggml_tensor * y = ggml_add(g.ctx(), x, x);
    g.compute(y);
    y->op = GGML_OP_SOFT_MAX;
    EXPECT_EQ(ggml_backend_graph_compute(g.backend(), g.graph()), GGML_STATUS_FAILED);
}
// Quantized rows for 64 TiB of input cannot be kept.
TEST(GraphStatus, LackOfMemoryIsTold) {
    constexpr int64_t columns = 1 << 24, tokens = 1 << 20;
    ggml_context * c = ggml_init({1u << 20, nullptr, true});
    ggml_tensor * ids = ggml_new_tensor_2d(c, GGML_TYPE_I32, 1, tokens);
    const std::vector<int32_t> zeros(us(tokens));
    ids->data = const_cast<int32_t *>(zeros.data());
    ggml_tensor *w = ggml_new_tensor_3d(c, GGML_TYPE_F32, columns, 1, 1),
                *x = ggml_new_tensor_3d(c, GGML_TYPE_F32, columns, 1, tokens);
    ggml_tensor * out = ggml_mul_mat_id(c, w, x, ids);
    w->data = x->data = out->data = ids->data;  // never read
    ggml_cgraph * graph = ggml_new_graph(c);
    ggml_build_forward_expand(graph, out);
    ggml_backend_t backend = ggml_backend_dev_init(ggml_backend_reg_dev_get(plugin(), 0), nullptr);
    EXPECT_EQ(ggml_backend_graph_compute(backend, graph), GGML_STATUS_ALLOC_FAILED);
    ggml_backend_free(backend);
    ggml_free(c);
}
