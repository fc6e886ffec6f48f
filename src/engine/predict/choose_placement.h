// Which placement to take if nobody asked for one: the fastest that fits.
#pragma once

#include "engine/device/device.h"
#include "engine/load/memory.h"
#include "engine/load/placement.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::engine {

// Copies of hot experts in VRAM, beside all experts on the CPU: not to be had, to be had, or asked for by name.
enum class CacheWish { none, possible, asked };

struct PlacementQuestion {
    int n_layers = 0;
    bool has_experts = false;
    CacheWish cache = CacheWish::none;
    std::vector<Device> devices;                         // with the memory that may be used as their free memory
    std::function<MemoryUse(const Placement &)> memory;  // what a placement needs
};

struct PlacementChoice {
    Placement placement;
    // "all on CUDA0 (needs 5.10 GiB, 11.20 GiB usable)", for people; empty where no GPU is in use, and so nothing was
    // chosen.
    std::string reason;
    std::vector<uint32_t> layers_of_gpu = {};  // as in LoadOptions; require_loadable sets it
};

// "placement n-cpu-moe=5: experts of …; keep it with --placement n-cpu-moe=5", or empty where nothing was chosen.
std::string to_text(const PlacementChoice & choice);

// Everything on the GPUs if that fits. Else the fewest layers of experts on the CPU that make the rest fit; but where
// that is half of the layers or more and libggml-moe can keep hot experts in VRAM (or was asked to), all experts on the
// CPU and such a cache: docs/OFFLOADING.md has the figures. nullopt: nothing fits.
std::optional<PlacementChoice> choose_placement(const PlacementQuestion & question);

}  // namespace shimmy::engine
