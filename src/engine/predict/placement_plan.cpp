#include "engine/predict/placement_plan.h"

#include "base/process/interrupt.h"
#include "base/text/units.h"
#include "engine/predict/estimate.h"
#include "engine/predict/share_layers.h"
#include "gguf/active_share.h"
#include "gguf/expert_tensors.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>

namespace shimmy::engine {

namespace {

class Estimator {
public:
    Estimator(const LoadOptions & load, const BandwidthRange & ram, const BandwidthRange & vram,
              const std::vector<Device> & gpus)
        : load_(load), ram_(ram), vram_(vram), gpus_(gpus), info_(gguf::read_model_info(load_.open_file())) {}

    int n_layers() const { return static_cast<int>(info_.n_layers); }
    bool has_experts() const { return info_.cpu_moe_applies(); }

    PlacementEstimate operator()(int n_cpu_moe) {
        check_interrupted();
        PlacementEstimate estimate;
        estimate.n_cpu_moe = n_cpu_moe;
        estimate.placement = n_cpu_moe == n_layers() ? Placement::offload() : Placement::partial(n_cpu_moe);
        load_.placement = estimate.placement;
        const MemoryUse use = estimate_memory(with_shared_layers(load_, gpus_));
        estimate.vram = use.vram();
        for (const Device & gpu : gpus_)
            estimate.cards.push_back(use.of_device(gpu.name));
        estimate.host = use.host();
        estimate.decode = decode_rate(token_bytes(*load_.file, n_cpu_moe),
                                      estimate.vram.context_bytes + estimate.host.context_bytes, ram_, vram_);
        return estimate;
    }

private:
    LoadOptions load_;
    BandwidthRange ram_;
    BandwidthRange vram_;
    std::vector<Device> gpus_;
    gguf::ModelInfo info_;
};

}  // namespace

TokenBytes token_bytes(const gguf::GgufFile & file, int n_cpu_moe) {
    const gguf::ActiveShare active(file);
    TokenBytes bytes;
    std::set<int> host_layers;
    for (const gguf::TensorInfo & tensor : file.tensors()) {
        const int layer = gguf::layer_of(tensor.name);
        const bool on_host = gguf::is_moved_by_cpu_moe(tensor.name) && layer < n_cpu_moe;
        if (on_host) host_layers.insert(layer);
        (on_host ? bytes.host : bytes.device) += active.bytes(tensor);
    }
    bytes.n_host_layers = static_cast<int>(host_layers.size());
    return bytes;
}

RateRange decode_rate(const TokenBytes & bytes, uint64_t context_bytes, const BandwidthRange & ram,
                      const BandwidthRange & vram) {
    const auto host = static_cast<double>(bytes.host);
    const auto device = static_cast<double>(bytes.device);
    const double fast_s = host / ram.high + device / vram.high;
    const double slow_s = host / (ram.low * DECODE_EFFICIENCY_LOW) +
                          (device + static_cast<double>(context_bytes)) / (vram.low * DECODE_EFFICIENCY_LOW) +
                          bytes.n_host_layers * SYNC_MS / 1000.0;
    return {1.0 / slow_s, 1.0 / fast_s};
}

std::vector<PlacementEstimate> estimate_placements(const LoadOptions & load, const BandwidthRange & ram,
                                                   const BandwidthRange & vram, const std::vector<Device> & gpus) {
    Estimator estimate(load, ram, vram, gpus);
    std::vector<PlacementEstimate> result{estimate(0)};
    for (int n = 1; estimate.has_experts() && n <= estimate.n_layers(); ++n)
        result.push_back(estimate(n));
    return result;
}

std::vector<PlacementEstimate> estimate_extremes(const LoadOptions & load, const BandwidthRange & ram,
                                                 const BandwidthRange & vram, const std::vector<Device> & gpus) {
    Estimator estimate(load, ram, vram, gpus);
    std::vector<PlacementEstimate> result{estimate(0)};
    if (estimate.has_experts()) result.push_back(estimate(estimate.n_layers()));
    return result;
}

bool fits(const PlacementEstimate & estimate, const std::vector<uint64_t> & card_bytes, uint64_t ram_bytes) {
    if (estimate.host.total_bytes() > ram_bytes) return false;
    for (size_t i = 0; i < estimate.cards.size(); ++i)
        if (estimate.cards[i].total_bytes() > card_bytes.at(i)) return false;
    return true;
}

const PlacementEstimate * best_fit(const std::vector<PlacementEstimate> & estimates,
                                   const std::vector<uint64_t> & card_bytes, uint64_t ram_bytes) {
    const auto found = std::find_if(estimates.begin(), estimates.end(), [&](const PlacementEstimate & estimate) {
        return fits(estimate, card_bytes, ram_bytes);
    });
    return found == estimates.end() ? nullptr : &*found;
}

namespace {

// What libggml-moe leaves free (moe/README.md).
constexpr uint64_t LEAST_RAM_MARGIN_BYTES = 512 * MIB;
constexpr uint64_t RAM_MARGIN_SHARE = 16;
// Of the disk's rate, that decoding is to reach (docs/howto/larger-than-ram.md).
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
    const uint64_t margin = std::min(std::max(LEAST_RAM_MARGIN_BYTES, ram_bytes / RAM_MARGIN_SHARE), ram_bytes / 4);
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
