// Does what a model needs fit what is there: figures that others have read, compared.
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

// What llama.cpp does not account for, the driver and other programs take some of a GPU's memory while a model runs:
// this much of a card is not given away by a plan, nor by a placement that nobody asked for. libggml-moe leaves as
// much. 512 MiB, or 5% of a larger card.
uint64_t margin_bytes(uint64_t card_bytes);

// Of LoadOptions::vram_limit_bytes that of the GPU with this number.
uint64_t limit_of(const std::vector<uint64_t> & limit_bytes, size_t gpu);

// The same GPUs with the memory that may be used as their free memory: at most the limit of each (as
// LoadOptions::vram_limit_bytes), and where `with_margin`, less margin_bytes(). Throws UsageError where there are
// several limits, and not as many GPUs.
std::vector<Device> usable(std::vector<Device> gpus, const std::vector<uint64_t> & limit_bytes, bool with_margin);

// The fewest layers (1 to n_layers) whose experts must stay on the CPU for the rest to fit: a `fits` that is false for
// none of them and true for all is asked about log2(n_layers) times.
int smallest_n_cpu_moe(int n_layers, const std::function<bool(const Placement &)> & fits);

// What to do about a lack of VRAM: the placement that keeps the fewest layers' experts on the CPU, or something else
// than a placement. `fits` tells whether the GPUs have room for a placement.
std::string advice(const Placement & wanted, int n_layers, bool has_experts,
                   const std::function<bool(const Placement &)> & fits);

}  // namespace shimmy::engine
