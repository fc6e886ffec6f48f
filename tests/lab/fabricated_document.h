// Result documents as `shimmy generate --json` would print them, with figures chosen by the test.
#pragma once

#include "base/host/host.h"
#include "base/json.h"
#include "lab/plan/plan.h"

#include <string>

namespace shimmy::lab {

struct FabricatedFigures {
    uint64_t vram_bytes = 0;
    double ttft_ms = 0.0;
    double decode_tps = 0.0;  // 0: none
};

inline Json fabricated_document(const std::string & placement, const FabricatedFigures & figures) {
    return {
        {"shimmy_version", "0.1.0"},
        {"llama_cpp_version", "0.5.0"},
        {"model",
         {{"path", "/m.gguf"}, {"name", "m"}, {"arch", "deepseek"}, {"quantization", "F16"}, {"size_bytes", 3145728}}},
        {"placement", placement},
        {"device",
         {{"name", "Vulkan0"},
          {"description", "llvmpipe"},
          {"backend", "Vulkan"},
          {"kind", "gpu"},
          {"software", true}}},
        {"host", {{"name", "box"}, {"cpu", host().cpu}, {"os", "Linux"}, {"n_cores", 2}, {"ram_bytes", 1073741824}}},
        {"n_threads", 2},
        {"n_prompt_tokens", 12},
        {"n_output_tokens", figures.decode_tps > 0.0 ? 50 : 1},
        {"load_ms", 500.0},
        {"ttft_ms", figures.ttft_ms},
        {"total_ms", figures.ttft_ms + 100.0},
        {"token_ms", {figures.ttft_ms}},
        {"prefill_tps", 400.0},
        {"decode_tps", figures.decode_tps > 0.0 ? Json(figures.decode_tps) : Json(nullptr)},
        {"text", "an answer"},
        {"cold",
         {{"ttft_ms", figures.ttft_ms * 2},
          {"prefill_tps", 200.0},
          {"decode_tps", figures.decode_tps > 0.0 ? Json(figures.decode_tps) : Json(nullptr)},
          {"total_ms", figures.ttft_ms * 2 + 100.0},
          {"n_output_tokens", 50},
          {"same_text", true}}},
        {"peak_rss_bytes", 2097152},
        {"memory",
         {{"vram_bytes", figures.vram_bytes},
          {"vram", {{"model_bytes", figures.vram_bytes}, {"context_bytes", 0}, {"compute_bytes", 0}}}}},
    };
}

inline Campaign fabricated_campaign(const fs::path & dir) {
    Campaign campaign;
    campaign.name = "demo";
    campaign.file = dir / "demo.toml";
    campaign.out_dir = dir / "out";
    campaign.models = {{"m", dir / "m.gguf", {"F16", "Q2_K"}}};
    campaign.placements = {engine::Placement::baseline(), engine::Placement::offload()};
    campaign.prompts = {{"a", "Text a"}, {"b", "Text b"}};
    campaign.n_ctx = 512;
    campaign.text = R"(
name = "demo"
out_dir = "out"
quantizations = ["F16", "Q2_K"]
n_ctx = 512
[[models]]
path = "m.gguf"
[[prompts]]
id = "a"
text = "Text a"
[[prompts]]
id = "b"
text = "Text b"
)";
    return campaign;
}

}  // namespace shimmy::lab
