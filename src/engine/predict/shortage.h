// Does what a model needs fit what is there: figures that others have read, compared.
#pragma once

#include "engine/load/device.h"
#include "engine/load/memory.h"
#include "engine/load/placement.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::engine {

struct Shortage {
    std::string device;
    uint64_t needed_bytes = 0;
    uint64_t free_bytes = 0;  // less than that
    uint64_t missing_bytes() const { return needed_bytes - free_bytes; }
};

// The GPU that lacks the most memory.
std::optional<Shortage> vram_shortage(const MemoryUse & use, const std::vector<Device> & devices);

// Mapped weights need no RAM of their own, only page cache.
std::optional<Shortage> ram_shortage(const MemoryUse & use, uint64_t available_bytes);

// What to do about a lack of VRAM: the placement that keeps the fewest layers' experts on the CPU, or something else
// than a placement. `fits` tells whether the GPUs have room for a placement; it is asked about log2(n_layers) times.
std::string advice(const Placement & wanted, int n_layers, bool has_experts,
                   const std::function<bool(const Placement &)> & fits);

}  // namespace shimmy::engine
