// What fits and what does not, to the byte, on devices that are only figures.
#include "engine/predict/shortage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

Device gpu(const std::string & name, uint64_t free_bytes, DeviceKind kind = DeviceKind::gpu) {
    Device device;
    device.name = name;
    device.kind = kind;
    device.memory_free_bytes = free_bytes;
    return device;
}

// Host buffers lie on "CPU".
BufferMemory buffer(const std::string & type, bool host, uint64_t model, uint64_t context = 0, uint64_t compute = 0) {
    return {host ? "CPU" : type, type, host, model, context, compute};
}

TEST(VramShortage, BeginsWithTheByteThatDoesNotFit) {
    const MemoryUse use{{buffer("CUDA0", false, 70, 20, 10)}};
    EXPECT_FALSE(vram_shortage(use, {gpu("CUDA0", 100)}));
    const auto shortage = vram_shortage(use, {gpu("CUDA0", 99)});
    ASSERT_TRUE(shortage);
    EXPECT_EQ(shortage->device, "CUDA0");
    EXPECT_EQ(shortage->needed_bytes, 100U);
    EXPECT_EQ(shortage->free_bytes, 99U);
    EXPECT_EQ(shortage->missing_bytes(), 1U);
}

TEST(VramShortage, TheWorstOfSeveralGpusIsNamed) {
    const MemoryUse use{{buffer("A", false, 100), buffer("B", false, 100), buffer("C", false, 100)}};
    EXPECT_EQ(vram_shortage(use, {gpu("A", 90), gpu("B", 50), gpu("C", 95)})->device, "B");
    EXPECT_EQ(vram_shortage(use, {gpu("A", 100), gpu("B", 500), gpu("C", 95)})->device, "C");
    EXPECT_EQ(vram_shortage(use, {gpu("A", 90), gpu("B", 90)})->device, "A") << "the first of equals";
    EXPECT_FALSE(vram_shortage(use, {gpu("A", 100), gpu("B", 100), gpu("C", 100), gpu("D", 0)}));
}

TEST(VramShortage, OnlyGpusAreLookedAt) {
    const MemoryUse use{{buffer("CPU", true, 100), buffer("X", false, 100)}};
    EXPECT_FALSE(vram_shortage(use, {gpu("CPU", 0, DeviceKind::cpu), gpu("X", 0, DeviceKind::accelerator)}));
    EXPECT_TRUE(vram_shortage(use, {gpu("X", 0, DeviceKind::integrated_gpu)}));
}

TEST(RamShortage, MappedWeightsAreNotCountedAndAllElseIs) {
    const MemoryUse use{{
        buffer("CPU", true, 1'000'000, 1, 20),
        buffer("CPU_Mapped", true, 1'000'000, 0, 300),
        buffer("MoE", true, 1'000'000, 4000, 0),
        buffer("CPU_REPACK", true, 50'000, 0, 0),  // weights that are copied into a layout of their own
        buffer("CUDA_Host", true, 0, 0, 600'000),
        buffer("CUDA0", false, 9'000'000, 9'000'000, 9'000'000),
    }};
    EXPECT_FALSE(ram_shortage(use, 654'321));
    const auto shortage = ram_shortage(use, 654'320);
    ASSERT_TRUE(shortage);
    EXPECT_EQ(shortage->needed_bytes, 654'321U);
    EXPECT_EQ(shortage->free_bytes, 654'320U);
    EXPECT_EQ(shortage->missing_bytes(), 1U);
}

// A model of which each layer's experts take 10 bytes, and everything else 5.
class Advice : public ::testing::Test {
protected:
    std::string with_free(uint64_t free_bytes, int n_layers = 8, Placement wanted = Placement::baseline()) {
        n_asked_ = 0;
        return advice(wanted, n_layers, true, [&](const Placement & placement) {
            ++n_asked_;
            const int n_host = placement == Placement::offload() ? n_layers : placement.n_cpu_moe;
            EXPECT_GE(n_host, 1);
            return static_cast<uint64_t>(5 + 10 * (n_layers - n_host)) <= free_bytes;
        });
    }

    int n_asked_ = 0;
};

TEST_F(Advice, NamesTheFewestLayersThatMustStay) {
    for (int n = 1; n < 8; ++n) {
        const auto needed = static_cast<uint64_t>(5 + 10 * (8 - n));
        EXPECT_EQ(with_free(needed), fmt::format("try --n-cpu-moe {}", n));
        EXPECT_EQ(with_free(needed - 1), n == 7 ? "try --cpu-moe" : fmt::format("try --n-cpu-moe {}", n + 1));
        EXPECT_LE(n_asked_, 4) << "each question is a load that allocates nothing";
    }
    EXPECT_EQ(with_free(5), "try --cpu-moe");
    EXPECT_EQ(with_free(4), "even --cpu-moe would not fit: use a smaller quantization or a smaller --ctx");
    EXPECT_EQ(with_free(5, 1), "try --cpu-moe");
    EXPECT_EQ(with_free(15, 2), "try --n-cpu-moe 1");
    EXPECT_EQ(with_free(45, 8, Placement::partial(2)), "try --n-cpu-moe 4") << "as from the baseline";
}

TEST_F(Advice, DoesNotNameAPlacementThatCannotHelp) {
    const auto never = [](const Placement &) -> bool { throw std::logic_error("asked"); };
    EXPECT_EQ(advice(Placement::baseline(), 8, false, never), "use a smaller quantization or a smaller --ctx");
    EXPECT_EQ(advice(Placement::offload(), 8, true, never),
              "the experts are on the CPU already: use a smaller quantization or a smaller --ctx");
}

TEST(Memory, SumsAreOfTheHostOfGpusAndOfOneGpu) {
    const MemoryUse use{{buffer("A", false, 1, 20, 300), buffer("B", false, 4000, 50'000, 600'000),
                         buffer("CPU", true, 7, 80, 900), buffer("A", true, 10, 10, 10)}};
    EXPECT_EQ(use.vram().model_bytes, 4001U);
    EXPECT_EQ(use.vram().context_bytes, 50'020U);
    EXPECT_EQ(use.vram().compute_bytes, 600'300U);
    EXPECT_EQ(use.vram().total_bytes(), 654'321U);
    EXPECT_EQ(use.host().model_bytes, 17U);
    EXPECT_EQ(use.host().context_bytes, 90U);
    EXPECT_EQ(use.host().compute_bytes, 910U);
    EXPECT_EQ(use.of_device("A").total_bytes(), 321U) << "not what lies in RAM";
    EXPECT_EQ(use.of_device("none").total_bytes(), 0U);
}

TEST(Memory, IsAddedBufferByBuffer) {
    MemoryUse use{{buffer("A", false, 1, 20, 300), buffer("CPU", true, 7)}};
    add(use, {{buffer("A", false, 1000, 0, 5), buffer("B", false, 4)}});
    ASSERT_EQ(use.buffers.size(), 3U);
    EXPECT_EQ(use.of_device("A").total_bytes(), 1326U);
    EXPECT_EQ(use.of_device("B").total_bytes(), 4U);
    EXPECT_EQ(use.host().total_bytes(), 7U);
}

TEST(Memory, ExpertsInRamAreMatricesAndBiasesOnTheHost) {
    EXPECT_EQ(expert_ram_bytes({{"blk.0.ffn_up_exps.weight", "f16", "CPU", true, 1, true},
                                {"blk.0.ffn_up_exps.bias", "f32", "CPU", true, 20, false},
                                {"blk.1.ffn_up_exps.weight", "f16", "CUDA0", false, 300, true},
                                {"token_embd.weight", "f16", "CPU", true, 4000, false}}),
              21U);
}

}  // namespace
}  // namespace shimmy::engine
