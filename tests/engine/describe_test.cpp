// Parts of the documents that runs print, of figures that are given.
#include "engine/run/describe.h"

#include "base/host/host.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

engine::Device device_of(const std::string & name, uint64_t free_bytes,
                         engine::DeviceKind kind = engine::DeviceKind::gpu) {
    engine::Device device{name, "a card", "CUDA", kind, false, free_bytes, 1000};
    return device;
}

TEST(Describe, ADevice) {
    engine::Device card = device_of("CUDA0", 5);
    EXPECT_EQ(
        device_json(card),
        (Json{
            {"name", "CUDA0"}, {"description", "a card"}, {"backend", "CUDA"}, {"kind", "gpu"}, {"software", false}}));
    card.software = true;
    EXPECT_EQ(device_json(card)["software"], true);
}

TEST(Describe, ThisMachine) {
    const Json machine = host_json();
    EXPECT_EQ(machine["name"], shimmy::host().name);
    EXPECT_EQ(machine["cpu"], shimmy::host().cpu);
    EXPECT_EQ(machine["os"], shimmy::host().os);
    EXPECT_EQ(machine["n_cores"], shimmy::host().n_cores);
    EXPECT_EQ(machine["ram_bytes"], shimmy::host().ram_bytes);
}

TEST(Describe, ExpertsThatWereUsed) {
    EXPECT_TRUE(expert_use_json(std::nullopt).is_null());
    EXPECT_EQ(expert_use_json(std::vector<engine::ExpertUse>{}), Json::array());
    EXPECT_EQ(expert_use_json(std::vector<engine::ExpertUse>{{1, 2, 3, 4}, {5, 6, 7, 8}}),
              (Json{{{"layer", 1}, {"expert", 2}, {"hits", 3}, {"bytes", 4}},
                    {{"layer", 5}, {"expert", 6}, {"hits", 7}, {"bytes", 8}}}));
}

// Two cards with the model's buffers, one without, and a CPU.
TEST(Describe, MemoryOfEveryDevice) {
    engine::MemoryUse use;
    use.buffers = {{"CUDA0", "CUDA0", false, 100, 20, 3, 70},
                   {"CUDA1", "CUDA1", false, 200, 40, 6},
                   {"CPU", "CPU", true, 1000, 0, 7},
                   {"CPU", "CUDA_Host", true, 0, 0, 5}};
    const std::vector<engine::Device> before{device_of("CUDA0", 900), device_of("CUDA1", 800), device_of("CUDA2", 700)};
    const std::vector<engine::Device> now{device_of("CUDA0", 770), device_of("CUDA1", 800), device_of("CUDA2", 600),
                                          device_of("CPU", 5, engine::DeviceKind::cpu)};
    const Json document = memory_json(use, 77, before, now);
    EXPECT_EQ(document["vram_bytes"], 439);
    EXPECT_EQ(document["vram"],
              (Json{{"model_bytes", 300}, {"context_bytes", 60}, {"compute_bytes", 9}, {"expert_cache_bytes", 70}}));
    EXPECT_EQ(document["host"],
              (Json{{"model_bytes", 1000}, {"context_bytes", 0}, {"compute_bytes", 12}, {"expert_cache_bytes", 0}}));
    EXPECT_EQ(document["expert_ram_bytes"], 77);
    EXPECT_EQ(document["devices"], (Json{{{"device", "CUDA0"},
                                          {"model_bytes", 100},
                                          {"context_bytes", 20},
                                          {"compute_bytes", 3},
                                          {"expert_cache_bytes", 70},
                                          {"total_bytes", 193},
                                          {"device_used_bytes", 130}},
                                         {{"device", "CUDA1"},
                                          {"model_bytes", 200},
                                          {"context_bytes", 40},
                                          {"compute_bytes", 6},
                                          {"expert_cache_bytes", 0},
                                          {"total_bytes", 246},
                                          {"device_used_bytes", nullptr}}}))
        << "the second card's driver saw nothing";
    ASSERT_EQ(document["buffers"].size(), 4U);
    EXPECT_EQ(document["buffers"][2], (Json{{"device", "CPU"},
                                            {"buffer_type", "CPU"},
                                            {"host", true},
                                            {"model_bytes", 1000},
                                            {"context_bytes", 0},
                                            {"compute_bytes", 7},
                                            {"expert_cache_bytes", 0}}));
    // What came later was not there before.
    EXPECT_TRUE(memory_json(use, 0, {}, now)["devices"][0]["device_used_bytes"].is_null());
    // Others gave memory back meanwhile.
    EXPECT_TRUE(memory_json(use, 0, {device_of("CUDA0", 700)}, now)["devices"][0]["device_used_bytes"].is_null());
}

}  // namespace
}  // namespace shimmy::engine
