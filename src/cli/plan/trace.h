// `shimmy plan --trace`: what a cache of experts in VRAM would do for a recorded routing, and what would be read from
// disk.
#pragma once

#include "engine/replay/compare.h"

#include <cstdint>
#include <optional>
#include <string>

namespace shimmy::cli {

// A model that is larger than RAM.
struct TracedDisk {
    uint64_t expert_ram_bytes = 0;
    double in_ram_tps = 0;              // decode with all experts in RAM
    std::optional<double> bytes_per_s;  // of the disk
};

struct TraceOptions {
    std::string file;
    std::string cache_sizes;  // "2GiB,4GiB"; empty: shares of all experts
    std::string chart;        // SVG to write, or empty
    // Of the model, where one is given: what a card of `vram_bytes` leaves for a cache is a size too.
    std::optional<uint64_t> vram_bytes;
    uint64_t other_vram_bytes = 0;  // weights, context and scratch with all experts in RAM
    int n_expert = 0, n_layer = 0;  // 0: no model is given
    engine::DecodeMachine machine;
    std::optional<TracedDisk> disk;
    std::string machine_text;  // where its figures come from
};

int print_trace_plan(const TraceOptions & options, bool json);

}  // namespace shimmy::cli
