// What a campaign's placements will take, before anything is run.
#pragma once

#include "lab/plan/campaign_plan.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::lab {

struct PredictedVram {
    std::string model;
    std::string quantization;
    std::vector<uint64_t> vram_bytes = {};  // of each of the campaign's placements; empty: `reason`
    std::string reason = {};                // why it cannot be said
};

// Of every variant, whether its file is there or not: llama.cpp's own load without allocating, on a modelled CUDA card
// and at the campaign's context.
std::vector<PredictedVram> predict_vram(const CampaignPlan & plan);

}  // namespace shimmy::lab
