// Which placement is chosen, and why, on devices that are only figures.
#include "engine/predict/choose_placement.h"

#include "base/error.h"
#include "base/text/units.h"
#include "engine/predict/shortage.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

Device gpu(const std::string & name, uint64_t free_bytes, uint64_t total_bytes = 0) {
    Device device;
    device.name = name;
    device.kind = DeviceKind::gpu;
    device.memory_free_bytes = free_bytes;
    device.memory_total_bytes = total_bytes;
    return device;
}

// A model of eight layers whose experts take 10 MiB each; everything else takes 5 MiB of GPU "A" and 3 MiB of RAM.
struct EightLayers {
    std::string experts_on_cpu = "MoE";  // buffer type
    int n_asked = 0;

    MemoryUse operator()(const Placement & placement) {
        ++n_asked;
        const int n_host = placement == Placement::offload() ? 8 : placement.n_cpu_moe;
        MemoryUse use{
            {{"A", "A", false, (5 + 10 * static_cast<uint64_t>(8 - n_host)) * MIB}, {"CPU", "CPU", true, 3 * MIB}}};
        if (n_host > 0) use.buffers.push_back({"CPU", experts_on_cpu, true, 10 * static_cast<uint64_t>(n_host) * MIB});
        return use;
    }
};

std::optional<PlacementChoice> choose(uint64_t free_mib, CacheWish cache = CacheWish::none, EightLayers model = {},
                                      bool has_experts = true) {
    return choose_placement({8, has_experts, cache, {gpu("A", free_mib * MIB)}, std::ref(model)});
}

TEST(ChoosePlacement, EverythingOnTheGpuIfItFitsToTheByte) {
    const auto fits = choose(85, CacheWish::possible);
    ASSERT_TRUE(fits);
    EXPECT_EQ(fits->placement, Placement::baseline());
    EXPECT_EQ(fits->reason, "all on A (needs 85.0 MiB, 85.0 MiB usable)");
    EightLayers model;
    const auto too_large = choose_placement({8, true, CacheWish::possible, {gpu("A", 85 * MIB - 1)}, std::ref(model)});
    ASSERT_TRUE(too_large);
    EXPECT_EQ(too_large->placement, Placement::partial(1));
}

TEST(ChoosePlacement, TheFewestLayersWithoutACache) {
    for (int n = 1; n < 8; ++n)
        EXPECT_EQ(choose(static_cast<uint64_t>(5 + 10 * (8 - n)))->placement, Placement::partial(n));
    EXPECT_EQ(choose(65)->reason,
              "experts of the first 2 of 8 layers in RAM (all on A needs 85.0 MiB, 65.0 MiB usable)");
    EXPECT_EQ(choose(14)->placement, Placement::offload());
    EXPECT_EQ(choose(5)->reason, "experts in RAM (all on A needs 85.0 MiB, 5.0 MiB usable)");
}

TEST(ChoosePlacement, ACacheFromHalfOfTheLayersOn) {
    EXPECT_EQ(choose(55, CacheWish::possible)->placement, Placement::partial(3));
    const auto half = choose(54, CacheWish::possible);
    EXPECT_EQ(half->placement, Placement::offload());
    EXPECT_EQ(half->reason, "experts in RAM, copies of hot ones in VRAM (all on A needs 85.0 MiB, 54.0 MiB usable)");
    EXPECT_EQ(choose(54, CacheWish::none)->placement, Placement::partial(4));
    EXPECT_EQ(choose(75, CacheWish::asked)->placement, Placement::offload());
    EXPECT_EQ(choose(85, CacheWish::asked)->placement, Placement::baseline());
}

TEST(ChoosePlacement, NoCacheForExpertsThatThePluginDoesNotHold) {
    EXPECT_EQ(choose(45, CacheWish::possible, {"CPU"})->placement, Placement::partial(4));
    EXPECT_EQ(choose(45, CacheWish::asked, {"CPU_REPACK"})->placement, Placement::partial(4));
}

TEST(ChoosePlacement, NothingWhereNothingFits) {
    EXPECT_FALSE(choose(4));
    EXPECT_FALSE(choose(84, CacheWish::possible, {}, false)) << "no experts to move";
    EXPECT_EQ(choose(85, CacheWish::none, {}, false)->placement, Placement::baseline());
}

TEST(ChoosePlacement, WithoutAGpuThereIsNothingToSay) {
    const auto choice = choose_placement({8, true, CacheWish::possible, {gpu("unused", 1)}, [](const Placement &) {
                                              return MemoryUse{{{"CPU", "CPU", true, 1000}}};
                                          }});
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->placement, Placement::baseline());
    EXPECT_EQ(choice->reason, "");
}

TEST(ChoosePlacement, OfTwoGpusTheOneThatLacksMostIsNamed) {
    const auto memory = [](const Placement & placement) {
        const auto n_host = static_cast<uint64_t>(placement == Placement::offload() ? 2 : placement.n_cpu_moe);
        return MemoryUse{{{"A", "A", false, (2 - n_host) * MIB}, {"B", "B", false, (20 - n_host) * MIB}}};
    };
    const auto choice = choose_placement({2, true, CacheWish::none, {gpu("A", 2 * MIB), gpu("B", 19 * MIB)}, memory});
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->placement, Placement::partial(1));
    EXPECT_EQ(choice->reason,
              "experts of the first 1 of 2 layers in RAM (all on 2 GPUs: B needs 20.0 MiB, 19.0 MiB usable)");
    EXPECT_EQ(choose_placement({2, true, CacheWish::none, {gpu("A", 2 * MIB), gpu("B", 20 * MIB)}, memory})->reason,
              "all on 2 GPUs (B needs 20.0 MiB, 20.0 MiB usable)")
        << "the one that is used most";
}

TEST(ChoosePlacement, AsksNoMoreThanItMust) {
    EightLayers model;
    choose_placement({8, true, CacheWish::none, {gpu("A", 85 * MIB)}, std::ref(model)});
    EXPECT_EQ(model.n_asked, 1) << "each question is a load that allocates nothing";
    model.n_asked = 0;
    choose_placement({8, true, CacheWish::none, {gpu("A", 45 * MIB)}, std::ref(model)});
    EXPECT_EQ(model.n_asked, 5) << "both ends, and three in between";
}

TEST(Usable, AMarginAndALimit) {
    const std::vector<Device> all{gpu("small", 2 * GIB, 4 * GIB), gpu("large", 30 * GIB, 80 * GIB),
                                  gpu("full", MIB, 4 * GIB)};
    using Bytes = std::vector<uint64_t>;
    const auto free_of = [&](const Bytes & limits, bool margin) {
        Bytes bytes;
        for (const Device & device : usable(all, limits, margin))
            bytes.push_back(device.memory_free_bytes);
        return bytes;
    };
    EXPECT_EQ(free_of({}, false), (Bytes{2 * GIB, 30 * GIB, MIB}));
    EXPECT_EQ(free_of({}, true), (Bytes{1536 * MIB, 26 * GIB, 0})) << "512 MiB at least, else a twentieth of all of it";
    EXPECT_EQ(free_of({GIB}, false), (Bytes{GIB, GIB, MIB}));
    EXPECT_EQ(free_of({1800 * MIB}, true), (Bytes{1536 * MIB, 1800 * MIB, 0}))
        << "the limit is not made smaller by the margin";
    EXPECT_EQ(free_of({GIB, 20 * GIB, 1}, false), (Bytes{GIB, 20 * GIB, 1})) << "one for each";
    EXPECT_THROW(free_of({GIB, GIB}, false), UsageError) << "two sizes for three cards";
}

}  // namespace
}  // namespace shimmy::engine
