// Counters per layer and expert: exact values, names, buffers that go, reset.
#include <gtest/gtest.h>

#include "experts/table.h"
#include "harness.h"

using namespace moe_test;

namespace {

using Stats = std::vector<ggml_moe_expert_stat>;

Stats all_stats() {
    Stats s(moe::stats_read(nullptr, 0));
    moe::stats_read(s.data(), s.size());
    return s;
}
Stats stats_of(const ggml_backend_buffer * b) {
    Stats s(moe::stats_read_of(b, nullptr, 0));
    moe::stats_read_of(b, s.data(), s.size());
    return s;
}
// The entries of one layer.
std::vector<std::pair<uint64_t, uint64_t>> layer(const Stats & all, int32_t n) {
    std::vector<std::pair<uint64_t, uint64_t>> r;
    for (const auto & s : all) {
        if (s.layer == n) {
            EXPECT_EQ(s.expert, static_cast<int32_t>(r.size()));
            r.emplace_back(s.hits, s.bytes);
        }
    }
    return r;
}

void record(const ggml_tensor * weights, const int32_t * count) {
    if (moe::ExpertTensor * t = moe::expert_tensor(weights)) moe::record(*t, count);
}

struct Weights {
    ggml_context * c = ggml_init({1u << 16, nullptr, true});
    ~Weights() { ggml_free(c); }
    Weights() = default;
    Weights(const Weights &) = delete;
    Weights & operator=(const Weights &) = delete;
    const ggml_tensor * named(const char * name, ggml_backend_buffer_t buffer = nullptr, int64_t experts = 3) {
        ggml_tensor * t = ggml_new_tensor_3d(c, GGML_TYPE_F32, 4, 5, experts);  // 80 bytes an expert
        ggml_set_name(t, name);
        t->buffer = buffer;
        return t;
    }
};

ggml_backend_buffer_t moe_buffer() {
    ggml_backend_dev_t dev = ggml_backend_reg_dev_get(plugin(), 0);
    ggml_backend_dev_type(dev);
    return ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(dev), 64);
}

using Counts = std::vector<std::pair<uint64_t, uint64_t>>;

}  // namespace

TEST(Stats, HitsAtTheDownProjectionAndBytesOfAll) {
    moe::stats_reset();
    Weights w;
    const int32_t count[3] = {2, 0, 7};
    record(w.named("blk.11.ffn_gate_exps.weight"), count);
    record(w.named("blk.11.ffn_up_exps.weight"), count);
    EXPECT_EQ(layer(all_stats(), 11), (Counts{{0, 160}, {0, 0}, {0, 160}}));
    record(w.named("blk.11.ffn_down_exps.weight"), count);
    EXPECT_EQ(layer(all_stats(), 11), (Counts{{2, 240}, {0, 0}, {7, 240}}));
    record(w.named("blk.11.ffn_down_exps.weight"), count);
    EXPECT_EQ(layer(all_stats(), 11), (Counts{{4, 320}, {0, 0}, {14, 320}}));
    moe::stats_reset();
    EXPECT_EQ(layer(all_stats(), 11), (Counts{{0, 0}, {0, 0}, {0, 0}}));
}
TEST(Stats, NamesOfLayers) {
    moe::stats_reset();
    Weights w;
    const int32_t count[3] = {1, 1, 1};
    const size_t before = all_stats().size();
    for (const char * name :
         {"", "blk", "blk.", "blk..ffn_down", "blk.x.ffn_down", "blk.7", "blk.7x.ffn_down", "blk.-1.ffn_down",
          "blk.100000.ffn_down", "blk_7.ffn_down", "output.weight", "blkx7.ffn_down", "xblk.7.ffn_down"}) {
        record(w.named(name), count);
        EXPECT_EQ(all_stats().size(), before) << name;
    }
    record(w.named("blk.0.ffn_down_exps.weight"), count);
    record(w.named("blk.99999.ffn_down_exps.weight"), count);
    Counts first = layer(all_stats(), 0);
    first.resize(3);  // other tests may have had a layer of this number, with more experts
    EXPECT_EQ(first, (Counts{{1, 80}, {1, 80}, {1, 80}}));
    EXPECT_EQ(layer(all_stats(), 99999), (Counts{{1, 80}, {1, 80}, {1, 80}}));
    EXPECT_EQ(all_stats().front().layer, 0) << "by layer";
    EXPECT_EQ(all_stats().back().layer, 99999);
}
TEST(Stats, NoMoreThanThereIsRoomFor) {
    moe::stats_reset();
    Weights w;
    const int32_t count[3] = {1, 2, 3};
    record(w.named("blk.5.ffn_down_exps.weight"), count);
    const size_t n = all_stats().size();
    for (size_t room = 0; room <= n; ++room) {
        Stats s(n + 1, {-1, -1, 9, 9, 9, 9});
        EXPECT_EQ(moe::stats_read(s.data(), room), n);
        for (size_t i = 0; i < s.size(); ++i) {
            EXPECT_EQ(s[i].layer != -1, i < room) << i;
        }
    }
    EXPECT_EQ(moe::stats_read(nullptr, 100), n);
}
TEST(Stats, BuffersApartAndTheirSum) {
    moe::stats_reset();
    Weights w;
    ggml_backend_buffer_t a = moe_buffer(), b = moe_buffer(),
                          foreign = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), 64);
    const char * name = "blk.21.ffn_down_exps.weight";
    const int32_t one[3] = {1, 0, 0}, two[3] = {0, 2, 0}, four[4] = {0, 0, 4, 4};
    record(w.named(name, a), one);
    record(w.named(name, b), two);
    record(w.named(name, foreign, 4), four);
    record(w.named(name), one);
    EXPECT_EQ(layer(stats_of(a), 21), (Counts{{1, 80}, {0, 0}, {0, 0}}));
    EXPECT_EQ(layer(stats_of(b), 21), (Counts{{0, 0}, {2, 80}, {0, 0}}));
    EXPECT_EQ(layer(stats_of(nullptr), 21), (Counts{{1, 80}, {0, 0}, {4, 80}, {4, 80}}))
        << "buffers whose end is not told";
    EXPECT_TRUE(stats_of(foreign).empty());
    const Counts sum = {{2, 160}, {2, 80}, {4, 80}, {4, 80}};
    EXPECT_EQ(layer(all_stats(), 21), sum);
    ggml_backend_buffer_free(a);
    EXPECT_TRUE(stats_of(a).empty()) << "another buffer may get its address";
    EXPECT_EQ(layer(stats_of(b), 21), (Counts{{0, 0}, {2, 80}, {0, 0}}));
    EXPECT_EQ(layer(all_stats(), 21), sum);
    ggml_backend_buffer_free(b);
    ggml_backend_buffer_free(foreign);
    EXPECT_EQ(layer(all_stats(), 21), sum);
    moe::stats_reset();
    EXPECT_EQ(layer(all_stats(), 21), (Counts{{0, 0}, {0, 0}, {0, 0}, {0, 0}}));
}
TEST(Stats, OfMappedBuffersToo) {
    moe::stats_reset();
    Weights w;
    alignas(64) static uint8_t memory[256];
    ggml_backend_buffer_t b = ggml_backend_dev_buffer_from_host_ptr(ggml_backend_reg_dev_get(plugin(), 0), memory,
                                                                    sizeof memory, sizeof memory);
    const int32_t count[3] = {3, 0, 0};
    record(w.named("blk.31.ffn_down_exps.weight", b), count);
    EXPECT_EQ(layer(stats_of(b), 31), (Counts{{3, 80}, {0, 0}, {0, 0}}));
    ggml_backend_buffer_free(b);
    EXPECT_TRUE(stats_of(b).empty());
    EXPECT_EQ(layer(all_stats(), 31), (Counts{{3, 80}, {0, 0}, {0, 0}}));
}
// A whole FFN in a graph counts each of its three matrices once.
TEST(Stats, OfAFusedFfn) {
    moe::stats_reset();
    Graph g(true);
    const auto weights = [&](const char * name) {
        return g.weight(GGML_TYPE_F32, {16, 16, 3}, quantize(GGML_TYPE_F32, normals(768, 1), 16), name);
    };
    ggml_tensor *x = g.input({16, 1, 2}, normals(32, 1)), *ids = g.ids({2, 2}, {2, 0, 2, -1});
    ggml_tensor * gate = ggml_mul_mat_id(g.ctx(), weights("blk.41.ffn_gate_exps.weight"), x, ids);
    ggml_tensor * up = ggml_mul_mat_id(g.ctx(), weights("blk.41.ffn_up_exps.weight"), x, ids);
    g.compute(
        ggml_mul_mat_id(g.ctx(), weights("blk.41.ffn_down_exps.weight"), ggml_swiglu_split(g.ctx(), gate, up), ids));
    EXPECT_EQ(layer(all_stats(), 41), (Counts{{1, 3 * 1024}, {0, 0}, {2, 3 * 1024}}));
}
