// Caches of experts replayed on recorded routing: against figures that others counted on a public trace, and by hand.
#include "engine/replay/compare.h"
#include "engine/replay/disk_replay.h"
#include "engine/replay/route_trace.h"
#include "error_of.h"
#include "temp_dir.h"

#include "base/files.h"
#include "base/text/units.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

const RouteTrace & public_trace() {
    static const RouteTrace trace = read_route_trace(SHIMMY_TRACE);
    return trace;
}

// Rows "layer expert expert …" of single tokens, in layers of four experts of 100 bytes.
RouteTrace tokens(const std::vector<std::vector<std::vector<int>>> & chosen) {
    RouteTrace trace;
    for (const auto & token : chosen) {
        TraceBatch batch{true, 1, {}};
        for (size_t layer = 0; layer < token.size(); ++layer) {
            batch.layers.push_back({static_cast<int>(layer), token[layer], std::vector<int>(token[layer].size(), 1)});
            trace.expert_bytes[static_cast<int>(layer)] = 100;
            trace.n_expert[static_cast<int>(layer)] = 4;
        }
        trace.batches.push_back(batch);
    }
    return trace;
}

const std::string HEADER = "# route_trace v1\nturn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n";

RouteTrace read(const std::string & rows) {
    const TempDir dir;
    write_file_atomic(dir.path() / "t.csv", HEADER + rows);
    return read_route_trace(dir.path() / "t.csv");
}

std::string error_in(const std::string & text) {
    const TempDir dir;
    write_file_atomic(dir.path() / "t.csv", text);
    const std::string error = error_of([&] { read_route_trace(dir.path() / "t.csv"); });
    return error.substr(error.find("t.csv"));
}

TEST(RouteTrace, OfAPublicModel) {
    const RouteTrace & trace = public_trace();
    EXPECT_EQ(trace.n_decode_tokens(), 128U);
    ASSERT_EQ(trace.batches.size(), 129U) << "and the prompt";
    EXPECT_FALSE(trace.batches.front().is_decode);
    EXPECT_EQ(trace.batches.front().n_tokens, 28);
    EXPECT_EQ(trace.batches.front().layers.size(), 48U);
    EXPECT_EQ(trace.batches.front().layers.back().tokens, (std::vector<int>{1, 1, 1, 1, 1, 1}))
        << "the last layer computes the last token alone";
    EXPECT_EQ(trace.n_expert.at(0), 128);
    EXPECT_EQ(trace.expert_bytes.at(0), 3059712U);
    EXPECT_EQ(trace.expert_bytes.at(6), 2654208U);
}

TEST(RouteTrace, BatchesTurnsAndCounts) {
    const RouteTrace trace = read(
        "0,0,0,3,0,7,0.5,0,640\n0,0,1,3,0,7,0.5,0,640\n0,0,1,3,1,2,0.5,0,640\n"  // a prompt of two tokens
        "0,1,2,3,0,1,1,0,640\n"
        "0,1,3,3,0,1,1,1,0\n"
        "1,0,0,3,0,4,1,0,640\n");
    ASSERT_EQ(trace.batches.size(), 4U);
    const LayerChoice & prompt = trace.batches[0].layers.at(0);
    EXPECT_EQ(trace.batches[0].n_tokens, 2);
    EXPECT_EQ(prompt.layer, 3);
    EXPECT_EQ(prompt.experts, (std::vector<int>{7, 2}));
    EXPECT_EQ(prompt.tokens, (std::vector<int>{2, 1}));
    EXPECT_TRUE(trace.batches[1].is_decode);
    EXPECT_TRUE(trace.batches[2].is_decode);
    EXPECT_FALSE(trace.batches[3].is_decode);
    EXPECT_EQ(trace.n_decode_tokens(), 2U);
    EXPECT_EQ(trace.n_expert.at(3), 8) << "one more than the highest";
    EXPECT_EQ(trace.total_bytes(), 8U * 640);
}

TEST(RouteTrace, WhatIsWrongIsNamedWithItsLine) {
    EXPECT_EQ(
        error_in("layer,expert\n1,2\n"),
        "t.csv: is no trace of experts: it must begin with \"# route_trace v1\" (shimmy generate --expert-trace)");
    EXPECT_EQ(error_in(HEADER), "t.csv: holds no routing");
    for (const char * row : {"0,1,0,0,0,1,0.5,0", "0,1,0,0,0,1,0.5,0,64,9", "0,1,0,0,0,-1,0.5,0,64",
                             "0,1,0,0,0,x,0.5,0,64", "0,1,0,0,0,1,0.5,0,99999999999999"}) {
        EXPECT_EQ(error_in(HEADER + "0,1,0,0,0,1,0.5,0,64\n" + row + "\n"),
                  "t.csv, line 4: is no line of nine numbers: "
                  "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes")
            << row;
    }
    EXPECT_EQ(error_in(HEADER + "0,1,0,0,0,1048576,0.5,0,64\n"),
              "t.csv, line 3: no model has so many experts or layers");
    EXPECT_EQ(error_in(HEADER + "0,1,0,0,0,1,0.5,1,0\n"),
              "t.csv: does not say how many bytes an expert of layer 0 has");
}

// What the publishers' own replay of this trace counts (80.3 and 70.6%).
TEST(CacheReplay, LruHitsWhatWasPublished) {
    EXPECT_NEAR(100 * replay_cache(public_trace(), CacheKind::lru, 4000 * MIB).hit_rate(), 80.3, 0.05);
    EXPECT_NEAR(100 * replay_cache(public_trace(), CacheKind::lru, 3000 * MIB).hit_rate(), 70.6, 0.05);
}

TEST(CacheReplay, OwnPolicyHitsAsOftenWithFewUploads) {
    // The first fill, a twenty-fifth of the look-ups, is the same for both.
    for (const auto & [share, of_theirs] : {std::pair{0.10, 0.2}, std::pair{0.25, 0.45}, std::pair{1.0 / 3, 0.6}}) {
        const auto bytes = static_cast<uint64_t>(share * static_cast<double>(public_trace().total_bytes()));
        const Replay lru = replay_cache(public_trace(), CacheKind::lru, bytes);
        const Replay own = replay_cache(public_trace(), CacheKind::shimmy, bytes);
        EXPECT_EQ(own.lookups, 128U * 48 * 6);
        EXPECT_GT(own.hit_rate(), lru.hit_rate() - 0.015) << share;
        EXPECT_LT(static_cast<double>(own.uploads), of_theirs * static_cast<double>(lru.uploads)) << share;
    }
    const Replay small = replay_cache(public_trace(), CacheKind::shimmy, 340 * MIB);
    EXPECT_GT(small.hit_rate(), 0.15) << "less than a token's worth of experts: LRU hits nothing";
    EXPECT_EQ(replay_cache(public_trace(), CacheKind::lru, 340 * MIB).hits, 0U);
}

TEST(CacheReplay, ByHand) {
    const RouteTrace trace = tokens({{{0, 1}, {2, 3}}, {{0, 2}, {2, 3}}, {{0, 1}, {2, 0}}});
    const Replay none = replay_cache(trace, CacheKind::none, 1000);
    EXPECT_EQ(none.lookups, 12U);
    EXPECT_EQ(none.hits, 0U);
    EXPECT_EQ(none.uploads, 0U);

    // Four experts: 0 1 | 2 3, all misses; 0 hits, 2 replaces 1, 2 3 hit; 0 hits, 1 replaces 2, of 2 3 … 2 hits, 0
    // replaces 3.
    const Replay lru = replay_cache(trace, CacheKind::lru, 400);
    EXPECT_EQ(lru.hits, 0U + (1 + 2) + (1 + 1));
    EXPECT_EQ(lru.uploads, 7U);
    EXPECT_EQ(lru.uploaded_bytes, 700U);

    // One whole layer fits in 400 bytes, the last one; none in 399.
    const Replay layers = replay_cache(trace, CacheKind::layers, 400);
    EXPECT_EQ(layers.hits, 6U);
    EXPECT_EQ(layers.uploads, 0U);
    EXPECT_EQ(layers.tokens.at(0).at(0).hits, 0);
    EXPECT_EQ(layers.tokens.at(0).at(1).hits, 2);
    EXPECT_EQ(replay_cache(trace, CacheKind::layers, 399).hits, 0U);
    EXPECT_EQ(replay_cache(trace, CacheKind::layers, 800).hits, 12U);
}

TEST(CacheReplay, TheLayerItselfIsNotEvicted) {
    const Replay lru = replay_cache(tokens({{{0, 1, 2}}, {{0, 1, 2}}}), CacheKind::lru, 200);
    EXPECT_EQ(lru.hits, 3U) << "they stay although they are more than fit";
}

// Room for three of eight. What fills it is not counted; the least used goes, here expert 0 of layer 0, which a use of
// layer 1 does not age.
TEST(DiskReplay, ByHand) {
    const RouteTrace trace = tokens({{{0}, {0}}, {{1}, {0}}, {{1}, {1}}, {{1}, {0}}, {{0}, {1}}});
    const DiskReplay replay = replay_disk(trace, 300);
    // Full before the fourth token: expert 1 of layer 1 pushed out 0 of layer 0 in the third. The fourth hits twice;
    // the fifth misses 0 of layer 0, for which 1 of layer 1 goes (one use, 16 tokens half it: less than 0's and 1's
    // two), and misses that.
    EXPECT_EQ(replay.n_tokens, 2U);
    EXPECT_EQ(replay.lookups, 4U);
    EXPECT_EQ(replay.hits, 2U);
    EXPECT_EQ(replay.read_bytes, 200U);
    EXPECT_DOUBLE_EQ(replay.bytes_per_token(), 100);
    const DiskReplay roomy = replay_disk(trace, 800);
    EXPECT_EQ(roomy.n_tokens, 5U) << "never full";
    EXPECT_EQ(roomy.read_bytes, 400U);
}

// As the decaying uses of bench/LOG.md, entry 38, do: 84 to 91% at a quarter to a third of the experts.
TEST(DiskReplay, OfAPublicModel) {
    const RouteTrace & trace = public_trace();
    EXPECT_NEAR(replay_disk(trace, trace.total_bytes() / 4).hit_rate(), 0.84, 0.02);
    EXPECT_NEAR(replay_disk(trace, trace.total_bytes() / 10).hit_rate(), 0.55, 0.02);
}

TEST(DecodeSeconds, TheSlowerSideAndTheHandOver) {
    DecodeMachine machine;
    machine.ram_bytes_per_s = 1000;
    machine.vram_bytes_per_s = 10000;
    machine.hand_over_s = 0.01;
    machine.rest_s = 0.5;
    Replay replay;
    replay.tokens = {{{1, 1, 100, 100}}, {{2, 0, 200, 0}}, {{0, 2, 0, 200}}};
    // max(0.1, 0.01) + 0.01; max(0, 0.02) + 0.01; 0.2: and 0.5 each
    EXPECT_NEAR(decode_seconds(replay, machine), (0.11 + 0.03 + 0.2) / 3 + 0.5, 1e-12);
    machine.hand_over_s = 0.3;
    EXPECT_NEAR(decode_seconds(replay, machine), (0.4 + 0.32 + 0.2) / 3 + 0.5, 1e-12);
    replay.may_stay_on_cpu = true;
    EXPECT_NEAR(decode_seconds(replay, machine), (0.2 + 0.2 + 0.2) / 3 + 0.5, 1e-12);
    machine.link_bytes_per_s = 100;
    replay.uploaded_bytes = 600;
    EXPECT_NEAR(decode_seconds(replay, machine), 2, 1e-12) << "the link is what takes longest";
    EXPECT_EQ(decode_seconds(Replay(), machine), 0);
}

// On the machine of docs/OFFLOADING.md: a cache beats as many whole layers by half, and never loses to no cache.
TEST(CompareCaches, OnAPublicTrace) {
    DecodeMachine machine;
    machine.ram_bytes_per_s = 60e9;
    machine.vram_bytes_per_s = 450e9;
    machine.link_bytes_per_s = 22e9;
    machine.hand_over_s = 40e-6;
    machine.rest_s = 4e-3;
    const auto sizes = usual_cache_sizes(public_trace());
    const auto rows = compare_caches(public_trace(), sizes, machine);
    ASSERT_EQ(rows.size(), 7U);
    for (const CacheComparison & row : rows) {
        const auto & [own, lru, layers, none] = row.outcomes;
        EXPECT_EQ(own.kind, CacheKind::shimmy);
        EXPECT_EQ(none.kind, CacheKind::none);
        EXPECT_GE(own.decode_tps, none.decode_tps) << row.share;
        EXPECT_GE(own.decode_tps, layers.decode_tps) << row.share;
        EXPECT_NEAR(none.decode_tps, rows.front().outcomes[3].decode_tps, 1e-9);
    }
    EXPECT_NEAR(rows[3].share, 0.25, 1e-6);
    EXPECT_GT(rows[3].outcomes[0].decode_tps, 1.5 * rows[3].outcomes[2].decode_tps);
    EXPECT_LT(rows[0].outcomes[1].decode_tps, 0.6 * rows[0].outcomes[3].decode_tps) << "uploading every miss";
}

}  // namespace
}  // namespace shimmy::engine
