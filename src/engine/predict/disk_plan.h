// A model that is larger than RAM: what of its experts stays there, and what a token reads from disk.
#pragma once

#include "engine/predict/placement_plan.h"

#include <cstdint>
#include <optional>

namespace shimmy::engine {

struct DiskPlan {
    uint64_t expert_ram_bytes = 0;  // of experts that stay in RAM
    uint64_t expert_bytes = 0;      // all of them
    uint64_t token_bytes_low = 0;   // read from disk: routing as uneven as in the recorded trace of docs/OFFLOADING.md
    uint64_t token_bytes_high = 0;  // even routing
    std::optional<RateRange> decode;  // nullopt: how fast the disk is, is not known
};

// With every expert in RAM or on disk. `offload`: the placement's estimate; `token`: what one token reads in it;
// `expert_bytes`: all experts of the model. `dense_bytes`: other weights that RAM holds. nullopt: the model fits.
// `disk_bytes_per_s` 0: not known.
std::optional<DiskPlan> plan_disk(const PlacementEstimate & offload, const TokenBytes & token, uint64_t expert_bytes,
                                  uint64_t dense_bytes, uint64_t ram_bytes, double disk_bytes_per_s);

// The part of look-ups that find their expert where `share` (0 to 1) of all experts are kept, those used most: measured
// on the recorded trace, between the sizes that were tried in proportion.
double recorded_hit_rate(double share);

}  // namespace shimmy::engine
