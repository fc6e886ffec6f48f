#include "engine/predict/disk_plan.h"

#include "base/units.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace shimmy::engine {

namespace {

// What libggml-moe leaves free (moe/README.md).
constexpr uint64_t LEAST_MARGIN_BYTES = 512 * MIB;
constexpr uint64_t MARGIN_SHARE = 16;
// Of the disk's rate, that decoding is to reach (docs/PERFORMANCE.md).
constexpr double DISK_EFFICIENCY_LOW = 0.8;

struct HitRate {
    double share, rate;
};
// Uses that decay by half in 16 tokens, on bench/traces (bench/LOG.md, entry 38).
constexpr std::array HIT_RATES{HitRate{0, 0},       HitRate{0.1, 0.553},  HitRate{0.25, 0.841}, HitRate{0.33, 0.909},
                               HitRate{0.5, 0.963}, HitRate{0.66, 0.971}, HitRate{1, 1}};

}  // namespace

double recorded_hit_rate(double share) {
    const auto above = std::find_if(HIT_RATES.begin() + 1, HIT_RATES.end() - 1,
                                    [&](const HitRate & known) { return known.share >= share; });
    const HitRate & below = *std::prev(above);
    return below.rate + (above->rate - below.rate) * (share - below.share) / (above->share - below.share);
}

std::optional<DiskPlan> plan_disk(const PlacementEstimate & offload, const TokenBytes & token, uint64_t expert_bytes,
                                  uint64_t dense_bytes, uint64_t ram_bytes, double disk_bytes_per_s) {
    const uint64_t margin = std::min(std::max(LEAST_MARGIN_BYTES, ram_bytes / MARGIN_SHARE), ram_bytes / 4);
    const uint64_t other = offload.host.context_bytes + offload.host.compute_bytes + dense_bytes + margin;
    DiskPlan plan;
    plan.expert_bytes = expert_bytes;
    plan.expert_ram_bytes = ram_bytes - std::min(ram_bytes, other);
    if (expert_bytes == 0 || plan.expert_ram_bytes >= expert_bytes) return std::nullopt;
    const double share = static_cast<double>(plan.expert_ram_bytes) / static_cast<double>(expert_bytes);
    const auto used = static_cast<double>(token.host);
    const double most = used * (1 - share);
    const double least = used * (1 - recorded_hit_rate(share));
    plan.token_bytes_high = static_cast<uint64_t>(most);
    plan.token_bytes_low = static_cast<uint64_t>(least);
    if (disk_bytes_per_s <= 0) return plan;
    plan.decode = RateRange{1 / (1 / offload.decode.low_tps + most / (disk_bytes_per_s * DISK_EFFICIENCY_LOW)),
                            1 / (1 / offload.decode.high_tps + least / disk_bytes_per_s)};
    return plan;
}

}  // namespace shimmy::engine
