// What `shimmy plan` found, as a JSON document and as text.
#pragma once

#include "base/json.h"
#include "cli/plan/limits.h"
#include "engine/predict/placement_plan.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::cli {

// One quantization of the model at its two ends.
struct QuantizationNeed {
    std::string quantization;
    uint64_t disk_bytes = 0;
    uint64_t baseline_vram_bytes = 0;
    uint64_t min_vram_bytes = 0;  // with every layer's experts on the CPU
    uint64_t min_vram_host_bytes = 0;
};

struct Plan {
    std::string source;  // file, shape or repository with file
    gguf::ModelInfo info;
    std::string quantization;
    uint64_t disk_bytes = 0;
    uint64_t fetched_bytes = 0;  // of a remote file's header
    int n_ctx = 0;

    Limits limits;

    std::vector<engine::PlacementEstimate> placements;
    std::optional<engine::DiskPlan> disk;    // none: the model fits in RAM
    std::optional<double> disk_bytes_per_s;  // as --disk says
    std::vector<QuantizationNeed> quantizations;

    std::optional<bool> fits(const engine::PlacementEstimate & estimate) const;
    // What `--moe-cache auto` takes at most of the VRAM that this placement leaves, on top of estimate.vram: copies of
    // hot experts. 0 unless all experts are in RAM. None: no card is known.
    std::optional<uint64_t> expert_cache_bytes(const engine::PlacementEstimate & estimate) const;
    // Points into `placements`; null if nothing fits or no card is known.
    const engine::PlacementEstimate * best() const;
    std::string why() const;  // of best(), or of there being none
};

Json to_json(const Plan & plan);
// The answer, then the placements: the best with those next to it, and both ends; with `all`, every one.
std::string to_text(const Plan & plan, bool all = false);

// "exact for Vulkan0, …" or what the model of CUDA leaves out.
std::string method_note(bool exact, const std::string & device_name);

}  // namespace shimmy::cli
