// What every placement of a model would take and how fast it could decode, without loading it.
#pragma once

#include "engine/device/device.h"
#include "engine/load/load_options.h"
#include "engine/load/memory.h"
#include "gguf/model_info.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::engine {

// Read bandwidth in bytes/s. The two bounds are equal where it was measured or given.
struct BandwidthRange {
    double low = 0.0;
    double high = 0.0;
    std::string source;  // "measured", "given", "assumed"
};

// Bounds of the decode rate, tokens/s. A bandwidth bound, and no more than that:
//   high: every byte a token needs is read once at full bandwidth, with an empty context;
//   low: at half of it (DECODE_EFFICIENCY_LOW), with a full context, and SYNC_MS lost per layer that goes to the CPU.
struct RateRange {
    double low_tps = 0.0;
    double high_tps = 0.0;
};
inline constexpr double DECODE_EFFICIENCY_LOW = 0.5;
inline constexpr double SYNC_MS = 0.1;

// Bytes of weights that one token's pass reads.
struct TokenBytes {
    uint64_t host = 0;    // chosen experts of the layers whose experts are in RAM
    uint64_t device = 0;  // all the rest: other experts' share, attention, output; one row of the token embedding
    int n_host_layers = 0;
};

TokenBytes token_bytes(const gguf::GgufFile & file, int n_cpu_moe);
RateRange decode_rate(const TokenBytes & bytes, uint64_t context_bytes, const BandwidthRange & ram,
                      const BandwidthRange & vram);

struct PlacementEstimate {
    Placement placement;
    int n_cpu_moe = 0;  // layers whose experts are on the CPU: 0 for the baseline, all of them for offload
    BufferMemory vram;  // model, context and compute bytes on GPUs
    BufferMemory host;  // the same in RAM, mapped weights included
    RateRange decode;
    std::vector<BufferMemory> cards = {};  // of `vram` what lies on each GPU
};

// Of the baseline, of every n_cpu_moe from 1 and, last, of offload; only the baseline for a model without experts.
// `load` names the file (real, or a StandIn's), device (MODELLED_CUDA included) and context; its placement is not used.
// `gpus`: those in use, with what may be used as their free memory, by which layers are shared out to several.
std::vector<PlacementEstimate> estimate_placements(const LoadOptions & load, const BandwidthRange & ram,
                                                   const BandwidthRange & vram, const std::vector<Device> & gpus);

// The same for the two ends only: baseline and offload.
std::vector<PlacementEstimate> estimate_extremes(const LoadOptions & load, const BandwidthRange & ram,
                                                 const BandwidthRange & vram, const std::vector<Device> & gpus);

// `card_bytes`: what may be used of each GPU.
bool fits(const PlacementEstimate & estimate, const std::vector<uint64_t> & card_bytes, uint64_t ram_bytes);

// The fastest of `estimates` within the limits: the one that keeps the most experts on the device. None if even the
// last does not fit.
const PlacementEstimate * best_fit(const std::vector<PlacementEstimate> & estimates,
                                   const std::vector<uint64_t> & card_bytes, uint64_t ram_bytes);

// A model that is larger than RAM: what of its experts stays there, and what a token reads from disk.
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
