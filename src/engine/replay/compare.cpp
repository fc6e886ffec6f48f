#include "engine/replay/compare.h"

#include <algorithm>
#include <cmath>

namespace shimmy::engine {

namespace {

// As the plugin does (moe/src/device/cache.cpp): what the link takes for an expert, in half-uses of the CPU.
double price_on(const DecodeMachine & machine) {
    if (machine.link_bytes_per_s <= 0) return 1.0;
    return std::clamp(machine.ram_bytes_per_s / machine.link_bytes_per_s / 2, 1.0, 8.0);
}

}  // namespace

std::vector<CacheComparison> compare_caches(const RouteTrace & trace, const std::vector<uint64_t> & sizes,
                                            const DecodeMachine & machine) {
    std::vector<CacheComparison> result;
    for (const uint64_t bytes : sizes) {
        CacheComparison row{bytes, static_cast<double>(bytes) / static_cast<double>(trace.total_bytes()), {}};
        for (size_t i = 0; i < CACHE_KINDS.size(); ++i) {
            const Replay replay = replay_cache(trace, CACHE_KINDS[i], bytes, price_on(machine));
            const double seconds = decode_seconds(replay, machine);
            row.outcomes[i] = {
                CACHE_KINDS[i], replay.hit_rate(),
                replay.lookups == 0 ? 0.0 : static_cast<double>(replay.uploads) / static_cast<double>(replay.lookups),
                seconds > 0 ? 1 / seconds : 0.0};
        }
        result.push_back(row);
    }
    return result;
}

std::vector<uint64_t> usual_cache_sizes(const RouteTrace & trace) {
    std::vector<uint64_t> sizes;
    for (const double share : {0.02, 0.05, 0.10, 0.25, 1.0 / 3, 0.50, 0.66})
        sizes.push_back(static_cast<uint64_t>(std::llround(share * static_cast<double>(trace.total_bytes()))));
    return sizes;
}

}  // namespace shimmy::engine
