#include "lab/run/predicted_vram.h"

#include "base/error.h"
#include "engine/device/device.h"
#include "engine/layout/stand_in.h"
#include "engine/predict/placement_plan.h"
#include "gguf/shape.h"

#include <algorithm>
#include <memory>

namespace shimmy::lab {

namespace {

std::unique_ptr<engine::StandIn> stand_in(const CampaignPlan & plan, const Variant & variant) {
    const CampaignModel & model = plan.campaign.models.at(variant.campaign_model);
    const Mix * mix = find_mix(plan.campaign, variant.quantization);
    if (mix != nullptr && mix->is_searched()) fail("its types are found by measuring");
    if (mix != nullptr) return std::make_unique<engine::StandIn>(model.path, mix->type, mix->tensor_types);
    if (!model.is_synthetic())
        return std::make_unique<engine::StandIn>(model.path, variant.is_input() ? "" : variant.quantization);
    gguf::Shape shape = gguf::load_shape(model.shape);
    if (model.n_layers > 0) shape = gguf::with_layers(std::move(shape), model.n_layers);
    return std::make_unique<engine::StandIn>(shape, variant.quantization);
}

std::vector<uint64_t> vram_of(const CampaignPlan & plan, const Variant & variant) {
    const auto file = stand_in(plan, variant);
    engine::LoadOptions load;
    load.path = file->path().string();
    load.name = variant.model;
    load.device = engine::MODELLED_CUDA;
    load.n_ctx = static_cast<uint32_t>(plan.campaign.n_ctx);
    const engine::BandwidthRange unused{1.0, 1.0, ""};
    const std::vector<engine::Device> gpus = engine::gpus_in_use(load.device);
    const auto & placements = plan.campaign.placements;
    const bool extremes = std::all_of(placements.begin(), placements.end(),
                                      [](engine::Placement placement) { return placement.n_cpu_moe == 0; });
    const auto estimates = extremes ? engine::estimate_extremes(load, unused, unused, gpus)
                                    : engine::estimate_placements(load, unused, unused, gpus);
    std::vector<uint64_t> bytes;
    for (const engine::Placement placement : placements) {
        const auto found = std::find_if(estimates.begin(), estimates.end(),
                                        [&](const auto & estimate) { return estimate.placement == placement; });
        const bool all_layers = found == estimates.end() && placement.offloads();  // n_cpu_moe of every layer
        bytes.push_back((all_layers ? estimates.back() : *found).vram.total_bytes());
    }
    return bytes;
}

}  // namespace

std::vector<PredictedVram> predict_vram(const CampaignPlan & plan) {
    std::vector<PredictedVram> all;
    for (const Variant & variant : plan.variants) {
        all.push_back({variant.model, variant.quantization});
        try {
            all.back().vram_bytes = vram_of(plan, variant);
        } catch (const Interrupted &) {
            throw;
        } catch (const Error & error) {
            all.back().reason = error.what();
        }
    }
    return all;
}

}  // namespace shimmy::lab
