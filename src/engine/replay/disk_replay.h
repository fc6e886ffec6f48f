// What a recorded routing would read from disk if the model were larger than RAM.
#pragma once

#include "engine/replay/route_trace.h"

#include <cstdint>

namespace shimmy::engine {

// Of single tokens, once the RAM is full (of all, where it never is).
struct DiskReplay {
    uint64_t n_tokens = 0;
    uint64_t lookups = 0, hits = 0;  // one look-up per distinct expert of a layer and token
    uint64_t read_bytes = 0;

    double hit_rate() const { return lookups == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(lookups); }
    double bytes_per_token() const {
        return n_tokens == 0 ? 0.0 : static_cast<double>(read_bytes) / static_cast<double>(n_tokens);
    }
};

// As libggml-moe keeps experts in `ram_bytes`: whatever is missed is read, and the least used makes room for it.
DiskReplay replay_disk(const RouteTrace & trace, uint64_t ram_bytes);

}  // namespace shimmy::engine
