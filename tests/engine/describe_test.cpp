// The parts of JSON documents, worked out by hand.
#include "engine/run/describe.h"

#include "base/host/host.h"
#include "engine/run/model.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

TEST(Describe, ADeviceIsSaidAsItIs) {
    Device device;
    device.name = "Vulkan0";
    device.description = "llvmpipe";
    device.backend = "Vulkan";
    device.kind = DeviceKind::gpu;
    device.software = true;
    EXPECT_EQ(device_json(device), Json::parse(R"({"name": "Vulkan0", "description": "llvmpipe", "backend": "Vulkan",
                                                   "kind": "gpu", "software": true})"));
    const Host machine = host();
    EXPECT_EQ(host_json(), (Json{{"name", machine.name},
                                 {"cpu", machine.cpu},
                                 {"os", machine.os},
                                 {"n_cores", machine.n_cores},
                                 {"ram_bytes", machine.ram_bytes}}));
}

TEST(Describe, MemoryIsSummedByKind) {
    const MemoryUse use{{{"X", "X", false, 1, 20, 300}, {"CPU", "CPU_Mapped", true, 4000, 50'000, 600'000}}};
    EXPECT_EQ(memory_json(use, 77, {}), Json::parse(R"({
        "vram_bytes": 321,
        "vram": {"model_bytes": 1, "context_bytes": 20, "compute_bytes": 300},
        "host": {"model_bytes": 4000, "context_bytes": 50000, "compute_bytes": 600000},
        "expert_ram_bytes": 77,
        "devices": [],
        "buffers": [
            {"device": "X", "buffer_type": "X", "host": false,
             "model_bytes": 1, "context_bytes": 20, "compute_bytes": 300},
            {"device": "CPU", "buffer_type": "CPU_Mapped", "host": true,
             "model_bytes": 4000, "context_bytes": 50000, "compute_bytes": 600000}]})"));
}

TEST(Describe, ExpertUseIsAListOrNothing) {
    EXPECT_EQ(expert_use_json(std::nullopt), Json(nullptr));
    EXPECT_EQ(expert_use_json(std::vector<ExpertUse>{}), Json::array());
    EXPECT_EQ(expert_use_json(std::vector<ExpertUse>{{1, 2, 3, 4}}),
              Json::parse(R"([{"layer": 1, "expert": 2, "hits": 3, "bytes": 4}])"));
}

// The driver's figures before and after, of a device that is there: used memory is said only where it grew.
TEST(Describe, AGpusMemoryIsBesideWhatItsDriverSays) {
    load_backends();
    for (const Device & device : devices()) {
        if (!device.is_gpu()) continue;
        const MemoryUse use{{{device.name, device.name, false, 1, 2, 3}}};
        Device before = device;
        before.memory_free_bytes = before.memory_total_bytes;  // nothing was used
        const Json grown = memory_json(use, 0, {before})["devices"][0];
        EXPECT_EQ(grown["device"], device.name);
        EXPECT_EQ(grown["total_bytes"], 6);
        EXPECT_EQ(grown["context_bytes"], 2);
        before.memory_free_bytes = 0;  // all was used: nothing grew
        EXPECT_EQ(memory_json(use, 0, {before})["devices"][0]["device_used_bytes"], Json(nullptr));
        before.name = "another";
        EXPECT_EQ(memory_json(use, 0, {before})["devices"][0]["device_used_bytes"], Json(nullptr));
        EXPECT_TRUE(memory_json({}, 0, {before})["devices"].empty()) << "not in use";
        return;
    }
    GTEST_SKIP() << "no GPU device, not even llvmpipe";
}

TEST(GenerateResult, RatesAreOfTokensAndTheGapsBetweenThem) {
    GenerateResult result;
    EXPECT_EQ(result.prefill_tps(), 0.0);
    EXPECT_EQ(result.decode_tps(), std::nullopt);
    result.n_prompt_tokens = 50;
    result.prefill_ms = 200.0;
    EXPECT_DOUBLE_EQ(result.prefill_tps(), 250.0);
    result.n_output_tokens = 1;
    result.decode_ms = 100.0;
    EXPECT_EQ(result.decode_tps(), std::nullopt) << "one token has no gap";
    result.n_output_tokens = 2;
    EXPECT_DOUBLE_EQ(*result.decode_tps(), 10.0);
    result.n_output_tokens = 11;
    EXPECT_DOUBLE_EQ(*result.decode_tps(), 100.0);
    result.decode_ms = 0.0;
    EXPECT_EQ(result.decode_tps(), std::nullopt);
    EXPECT_STREQ(to_string(StopReason::end_of_text), "end_of_text");
    EXPECT_STREQ(to_string(StopReason::max_tokens), "max_tokens");
    EXPECT_STREQ(to_string(StopReason::context_full), "context_full");
    EXPECT_STREQ(to_string(StopReason::stopped), "stopped");
}

}  // namespace
}  // namespace shimmy::engine
