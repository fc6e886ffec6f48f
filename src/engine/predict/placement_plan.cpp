#include "engine/predict/placement_plan.h"

#include "base/process/interrupt.h"
#include "engine/predict/fit.h"
#include "gguf/active_share.h"
#include "gguf/expert_tensors.h"

#include <algorithm>
#include <set>

namespace shimmy::engine {

namespace {

class Estimator {
public:
    Estimator(const LoadOptions & load, const BandwidthRange & ram, const BandwidthRange & vram)
        : load_(load), ram_(ram), vram_(vram), file_(load.path), info_(gguf::read_model_info(file_)) {}

    int n_layers() const { return static_cast<int>(info_.n_layers); }
    bool has_experts() const { return info_.cpu_moe_applies(); }

    PlacementEstimate operator()(int n_cpu_moe) {
        check_interrupted();
        PlacementEstimate estimate;
        estimate.n_cpu_moe = n_cpu_moe;
        estimate.placement = n_cpu_moe == n_layers() ? Placement::offload() : Placement::partial(n_cpu_moe);
        load_.placement = estimate.placement;
        const MemoryUse use = estimate_memory(load_);
        estimate.vram = use.vram();
        estimate.host = use.host();
        estimate.decode = decode_rate(token_bytes(file_, n_cpu_moe),
                                      estimate.vram.context_bytes + estimate.host.context_bytes, ram_, vram_);
        return estimate;
    }

private:
    LoadOptions load_;
    BandwidthRange ram_;
    BandwidthRange vram_;
    gguf::GgufFile file_;
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
                                                   const BandwidthRange & vram) {
    Estimator estimate(load, ram, vram);
    std::vector<PlacementEstimate> result{estimate(0)};
    for (int n = 1; estimate.has_experts() && n <= estimate.n_layers(); ++n)
        result.push_back(estimate(n));
    return result;
}

std::vector<PlacementEstimate> estimate_extremes(const LoadOptions & load, const BandwidthRange & ram,
                                                 const BandwidthRange & vram) {
    Estimator estimate(load, ram, vram);
    std::vector<PlacementEstimate> result{estimate(0)};
    if (estimate.has_experts()) result.push_back(estimate(estimate.n_layers()));
    return result;
}

const PlacementEstimate * best_fit(const std::vector<PlacementEstimate> & estimates, uint64_t vram_bytes,
                                   uint64_t ram_bytes) {
    const auto fits = [&](const PlacementEstimate & estimate) {
        return estimate.vram.total_bytes() <= vram_bytes && estimate.host.total_bytes() <= ram_bytes;
    };
    const auto found = std::find_if(estimates.begin(), estimates.end(), fits);
    return found == estimates.end() ? nullptr : &*found;
}

}  // namespace shimmy::engine
