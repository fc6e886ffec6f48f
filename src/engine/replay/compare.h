// Ways to use VRAM for experts, side by side on one recorded routing.
#pragma once

#include "engine/replay/cache_replay.h"

#include <array>
#include <cstdint>
#include <vector>

namespace shimmy::engine {

inline constexpr std::array CACHE_KINDS{CacheKind::shimmy, CacheKind::lru, CacheKind::layers, CacheKind::none};

struct CacheOutcome {
    CacheKind kind = CacheKind::none;
    double hit_rate = 0;
    double uploads_per_lookup = 0;
    double decode_tps = 0;  // predicted
};

struct CacheComparison {
    uint64_t cache_bytes = 0;
    double share = 0;  // of all experts
    std::array<CacheOutcome, CACHE_KINDS.size()> outcomes;
};

std::vector<CacheComparison> compare_caches(const RouteTrace & trace, const std::vector<uint64_t> & sizes,
                                            const DecodeMachine & machine);

// 2, 5, 10, 25, 33, 50 and 66% of all experts.
std::vector<uint64_t> usual_cache_sizes(const RouteTrace & trace);

}  // namespace shimmy::engine
