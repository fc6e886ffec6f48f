// What a cache of experts in VRAM would have done on a recorded routing.
//
// Counting: one look-up per distinct expert of a layer and batch; what a layer missed enters after the layer, and never
// in place of what the layer has just used.
#pragma once

#include "engine/replay/route_trace.h"

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::engine {

enum class CacheKind {
    shimmy,  // libggml-moe's own: uses that decay, an upload only when it is worth its price
    lru,     // every miss is uploaded, the least recently used expert goes
    layers,  // --n-cpu-moe: the experts of as many whole layers as fit, for ever
    none,    // --cpu-moe
};
const char * to_string(CacheKind kind);

// What one layer of one token needed; both in experts.
struct LayerLookup {
    int hits = 0, misses = 0;
    uint64_t hit_bytes = 0, miss_bytes = 0;
};

struct Replay {
    // Of decode; prompts fill the cache and are not counted.
    uint64_t lookups = 0, hits = 0;
    uint64_t uploads = 0, uploaded_bytes = 0;      // of decode as well
    std::vector<std::vector<LayerLookup>> tokens;  // by token and layer
    bool may_stay_on_cpu = false;                  // the CPU computes hits too where handing them over takes longer

    double hit_rate() const { return lookups == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(lookups); }
};

// `price`: of an upload, in uses (CacheKind::shimmy).
Replay replay_cache(const RouteTrace & trace, CacheKind kind, uint64_t cache_bytes, double price = 1.0);

// A machine, as far as it decides the time of a token.
struct DecodeMachine {
    double ram_bytes_per_s = 0;
    double vram_bytes_per_s = 0;
    double link_bytes_per_s = 0;  // into the GPU's memory
    double hand_over_s = 75e-6;   // per layer in which both take part
    double rest_s = 0;            // of a token: attention, norms, output
};

// Seconds per token: in every layer the CPU reads what was missed while the GPU reads what was hit; uploads go on
// behind them, and hold decode up only where they are more than the link carries meanwhile.
double decode_seconds(const Replay & replay, const DecodeMachine & machine);

}  // namespace shimmy::engine
