// Bytes, rates and memory of placements, without a device.
#include "engine/predict/placement_plan.h"

#include "base/host/host.h"
#include "base/text/units.h"
#include "engine/make/synthesize.h"
#include "engine/predict/fit.h"
#include "tiny_moe.h"
#include "tiny_shape.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::engine {
namespace {

TEST(TokenBytes, NoByteIsLostOrReadTwiceInAnyPlacement) {
    const gguf::GgufFile file(TINY_MOE);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    uint64_t host_before = 0;
    for (int n = 0; n <= info.n_layers; ++n) {
        const TokenBytes bytes = token_bytes(file, n);
        EXPECT_EQ(bytes.host + bytes.device, info.bytes_per_token) << n;
        EXPECT_EQ(bytes.n_host_layers, std::max(0, n - static_cast<int>(info.n_layers_dense_lead)));
        if (n > info.n_layers_dense_lead) {
            EXPECT_GT(bytes.host, host_before);
        }
        host_before = bytes.host;
    }
    EXPECT_EQ(host_before,
              info.expert_bytes / static_cast<uint64_t>(info.n_expert) * static_cast<uint64_t>(info.n_expert_used));
}

TEST(TokenBytes, LayersMayDiffer) {
    const TempDir dir;
    test::GgufBytes(4, 3)
        .key("general.architecture", "toy")
        .key("toy.expert_count", 4U)
        .key("toy.expert_used_count", 1U)
        .tensor("blk.0.ffn_up_exps.weight", {8, 4, 4}, 0)        // 128 bytes of 512 per token
        .tensor("blk.1.ffn_up_exps.weight", {8, 8, 4}, 512)      // 256
        .tensor("blk.1.ffn_down_exps.weight", {8, 16, 4}, 1536)  // 512
        .tensor("blk.1.attn_q.weight", {8, 8}, 3584)             // 256
        .data(3840)
        .write(dir / "toy.gguf");
    const gguf::GgufFile file(dir / "toy.gguf");
    const auto expect = [&](int n_cpu_moe, uint64_t host, uint64_t device, int n_host_layers) {
        const TokenBytes bytes = token_bytes(file, n_cpu_moe);
        EXPECT_EQ(bytes.host, host) << n_cpu_moe;
        EXPECT_EQ(bytes.device, device) << n_cpu_moe;
        EXPECT_EQ(bytes.n_host_layers, n_host_layers) << n_cpu_moe;
    };
    expect(0, 0, 1152, 0);
    expect(1, 128, 1024, 1);
    expect(2, 896, 256, 2);
}

// Worked out by hand: 300 bytes from RAM and 1000 from VRAM, a context of 500 bytes.
TEST(DecodeRate, IsBetweenAFullPassAndAHalfOne) {
    const BandwidthRange ram{100.0, 200.0, "given"};
    const BandwidthRange vram{1000.0, 4000.0, "given"};
    const RateRange rate = decode_rate({300, 1000, 2}, 500, ram, vram);
    EXPECT_DOUBLE_EQ(rate.high_tps, 1.0 / (300.0 / 200 + 1000.0 / 4000));
    EXPECT_DOUBLE_EQ(rate.low_tps, 1.0 / (300.0 / 50 + 1500.0 / 500 + 2 * 0.0001));
    EXPECT_DOUBLE_EQ(decode_rate({0, 1000, 0}, 0, ram, vram).high_tps, 4.0);
    EXPECT_DOUBLE_EQ(decode_rate({0, 1000, 0}, 0, ram, vram).low_tps, 0.5);
}

TEST(BestFit, IsTheFirstWithinBothLimitsToTheByte) {
    const auto placement = [](int n_cpu_moe, uint64_t vram, uint64_t host) {
        PlacementEstimate estimate;
        estimate.n_cpu_moe = n_cpu_moe;
        estimate.vram = {"", "", false, vram - 3, 2, 1};
        estimate.host = {"", "", true, host - 3, 2, 1};
        estimate.cards = {estimate.vram};
        return estimate;
    };
    const std::vector<PlacementEstimate> all{placement(0, 300, 10), placement(1, 200, 110), placement(2, 100, 210)};
    const auto best = [&](uint64_t vram, uint64_t ram) {
        const PlacementEstimate * found = best_fit(all, {vram}, ram);
        return found == nullptr ? -1 : found->n_cpu_moe;
    };
    EXPECT_EQ(best(300, 1000), 0);
    EXPECT_EQ(best(299, 1000), 1);
    EXPECT_EQ(best(200, 110), 1);
    EXPECT_EQ(best(200, 109), -1) << "less VRAM would need more RAM";
    EXPECT_EQ(best(199, 1000), 2);
    EXPECT_EQ(best(100, 210), 2);
    EXPECT_EQ(best(99, 1000), -1);
    EXPECT_EQ(best(300, 9), -1);
    EXPECT_EQ(best_fit({}, {1000}, 1000), nullptr);
}

class PlacementPlan : public ::testing::Test {
protected:
    PlacementPlan() {
        SynthOptions synth;
        synth.shape = gguf::with_layers(tiny_shape(dir_), 4);
        synth.output = dir_ / "model.gguf";
        synth.sparse = true;
        synthesize(synth);
        load_backends();
        load_.path = synth.output.string();
        load_.device = MODELLED_CUDA;
        load_.n_ctx = 512;
        load_.placement = Placement::partial(3);  // is not used
    }

    const TempDir dir_;
    LoadOptions load_;
    const BandwidthRange ram_{1e9, 1e9, "given"};
    const BandwidthRange vram_{1e10, 1e10, "given"};
};

TEST_F(PlacementPlan, EveryLayerMovesItsOwnExperts) {
    const gguf::GgufFile file(load_.path);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    const std::vector<PlacementEstimate> plan = estimate_placements(load_, ram_, vram_, gpus_in_use(load_.device));
    ASSERT_EQ(plan.size(), 5U);
    for (int n = 0; n <= 4; ++n) {
        const PlacementEstimate & estimate = plan[static_cast<size_t>(n)];
        EXPECT_EQ(estimate.n_cpu_moe, n);
        EXPECT_EQ(estimate.placement, n == 4 ? Placement::offload() : Placement{n});
        const RateRange rate =
            decode_rate(token_bytes(file, n), estimate.vram.context_bytes + estimate.host.context_bytes, ram_, vram_);
        EXPECT_EQ(estimate.decode.low_tps, rate.low_tps);
        EXPECT_EQ(estimate.decode.high_tps, rate.high_tps);
        EXPECT_EQ(estimate.vram.context_bytes, plan[0].vram.context_bytes);
        if (n == 0) continue;
        const PlacementEstimate & before = plan[static_cast<size_t>(n - 1)];
        const uint64_t moved = info.expert_bytes_per_layer[static_cast<size_t>(n - 1)];
        EXPECT_EQ(before.vram.model_bytes - estimate.vram.model_bytes, moved) << n;
        EXPECT_EQ(estimate.host.model_bytes - before.host.model_bytes, moved) << n;
    }
    EXPECT_EQ(info.expert_bytes_per_layer[0], 0U) << "the first layer is dense";
    EXPECT_GT(plan[0].vram.context_bytes, 0U);
    EXPECT_EQ(plan[0].host.model_bytes + plan[0].vram.model_bytes, info.tensor_bytes);
}

TEST_F(PlacementPlan, TheExtremesAreItsEnds) {
    const std::vector<PlacementEstimate> plan = estimate_placements(load_, ram_, vram_, gpus_in_use(load_.device));
    const std::vector<PlacementEstimate> ends = estimate_extremes(load_, ram_, vram_, gpus_in_use(load_.device));
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[0].placement, Placement::baseline());
    EXPECT_EQ(ends[0].vram.total_bytes(), plan.front().vram.total_bytes());
    EXPECT_EQ(ends[1].placement, Placement::offload());
    EXPECT_EQ(ends[1].n_cpu_moe, 4);
    EXPECT_EQ(ends[1].vram.total_bytes(), plan.back().vram.total_bytes());
}

// Two cards, the first with three times the room of the second.
TEST_F(PlacementPlan, SeveralCardsAreAsFullAsOneAnother) {
    const PlacementEstimate alone = estimate_placements(load_, ram_, vram_, gpus_in_use(load_.device))[2];
    load_.device = modelled_cards(2);
    std::vector<Device> gpus = gpus_in_use(load_.device);
    ASSERT_EQ(gpus.size(), 2U);
    EXPECT_NE(gpus[0].name, gpus[1].name);
    const auto shared = [&](uint64_t first, uint64_t second) {
        gpus[0].memory_free_bytes = first;
        gpus[1].memory_free_bytes = second;
        return estimate_placements(load_, ram_, vram_, gpus)[2];
    };
    const PlacementEstimate equal = shared(GIB, GIB);
    ASSERT_EQ(equal.cards.size(), 2U);
    EXPECT_EQ(equal.cards[0].model_bytes + equal.cards[1].model_bytes, alone.vram.model_bytes);
    EXPECT_EQ(equal.cards[0].context_bytes + equal.cards[1].context_bytes, alone.vram.context_bytes);
    EXPECT_EQ(equal.host.model_bytes, alone.host.model_bytes);
    const auto fullest = [](const PlacementEstimate & plan) {
        return std::max(plan.cards[0].total_bytes(), plan.cards[1].total_bytes());
    };
    uint64_t least = UINT64_MAX;
    for (const char * cut : {"1,4", "2,3", "3,2", "4,1"}) {  // four layers and the output
        load_.llama_args = {"--tensor-split", cut};
        least = std::min(least, fullest(shared(GIB, GIB)));
    }
    load_.llama_args.clear();
    EXPECT_EQ(fullest(equal), least) << "no other cut leaves more room";
    EXPECT_EQ(shared(GIB, 1).cards[1].model_bytes, 0U) << "no room, no layers";
    EXPECT_EQ(shared(1, GIB).cards[0].model_bytes, 0U);
}

TEST_F(PlacementPlan, SharesThatTheUserNamesAreKept) {
    load_.device = modelled_cards(2);
    load_.llama_args = {"--tensor-split", "1,4"};
    std::vector<Device> gpus = gpus_in_use(load_.device);
    gpus[0].memory_free_bytes = gpus[1].memory_free_bytes = GIB;
    const PlacementEstimate plan = estimate_placements(load_, ram_, vram_, gpus)[0];
    EXPECT_EQ(4 * plan.cards[0].context_bytes, plan.vram.context_bytes) << "one layer of four, and of the output";
}

TEST_F(PlacementPlan, ContextsBeyondTheModelsAreRefused) {
    EXPECT_EQ(context_size(load_, 512), 512U);
    EXPECT_THROW(context_size(load_, 511), UsageError);
    load_.n_ctx = 0;
    EXPECT_EQ(context_size(load_, 4096), 4096U);
    EXPECT_EQ(context_size(load_, 4097), 4096U) << "what is not asked for is not reserved";
    EXPECT_EQ(context_size(load_, 100), 100U);
    load_.n_parallel = 3;
    EXPECT_EQ(context_size(load_, 100), 300U) << "each sequence has its own";
}

// A context whose cache few machines hold: an estimate allocates nothing, so it can be asked for.
TEST(Fit, ALackOfRamIsRefusedWithNumbers) {
    // 9 layers x K and V x 32 heads of 128 x 2 bytes a token
    constexpr uint32_t N_CTX = 1U << 20;
    if (available_ram_bytes() > uint64_t{147456} * N_CTX) GTEST_SKIP() << "144 GiB of RAM are not enough to lack some";
    const TempDir dir;
    SynthOptions synth;
    synth.shape = tiny_shape(dir);
    for (auto & [key, value] : synth.shape.metadata) {
        if (key == "deepseek.context_length") value = int64_t{N_CTX};
        if (key == "deepseek.embedding_length") value = int64_t{4096};
        if (key.starts_with("deepseek.attention.head_count")) value = int64_t{32};
        if (key == "deepseek.rope.dimension_count") value = int64_t{128};
    }
    synth.output = dir / "model.gguf";
    synth.sparse = true;
    synthesize(synth);
    LoadOptions load;
    load.path = synth.output.string();
    load.device = "cpu";
    load.n_ctx = N_CTX;
    load_backends();
    const auto error_of = [](const LoadOptions & options) -> std::string {
        try {
            require_loadable(options);
        } catch (const DoesNotFit & error) {
            return error.what();
        }
        return "";
    };
    const std::string error = error_of(load);
    EXPECT_TRUE(error.starts_with(load.path + ": needs ")) << error;
    EXPECT_NE(error.find(" of RAM besides the mapped file, and "), std::string::npos) << error;
    EXPECT_TRUE(error.ends_with(" short; use a smaller --ctx")) << error;
    load.check_fit = false;
    EXPECT_EQ(error_of(load), "");
    load.check_fit = true;
    load.n_ctx = 512;
    EXPECT_EQ(error_of(load), "");
}

TEST(Fit, OnlyModelsWithExpertsHaveExpertsToKeep) {
    const TempDir dir;
    test::GgufBytes(1, 2)
        .key("general.architecture", "llama")
        .key("llama.context_length", 512U)
        .tensor("blk.0.ffn_up.weight", {32, 64}, 0)
        .data(8192)
        .write(dir / "dense.gguf");
    load_backends();
    LoadOptions load;
    load.path = (dir / "dense.gguf").string();
    load.device = "cpu";
    load.check_fit = false;
    EXPECT_NO_THROW(require_loadable(load));
    load.n_ctx = 513;
    EXPECT_THROW(require_loadable(load), UsageError);
    load.n_ctx = 0;
    load.placement = Placement::partial(1);
    try {
        require_loadable(load);
        FAIL();
    } catch (const Error & error) {
        EXPECT_EQ(error.what(), load.path +
                                    ": the model has no expert tensors (architecture llama), so --cpu-moe has "
                                    "nothing to keep on the CPU");
    }
}

}  // namespace
}  // namespace shimmy::engine
