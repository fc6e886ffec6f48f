#include "lab/run/making_commands.h"

#include "lab/plan/quantized_models.h"

namespace shimmy::lab {

namespace {

// "gpu" may be a software device, which takes many times as long as the CPU.
void add_device(std::vector<std::string> & arguments, const Campaign & campaign) {
    if (campaign.device != "gpu") arguments.insert(arguments.end(), {"--device", campaign.device});
}

}  // namespace

std::vector<std::string> search_arguments(const Campaign & campaign, const Variant & variant, const Mix & mix,
                                          const Backends & backends, const fs::path & folder) {
    std::vector<std::string> arguments{
        "quantize",   variant.input.string(), "--target-size", mix.target_size,
        "--text",     mix.text.string(),      "--chunks",      std::to_string(mix.chunks),
        "--out-dir",  folder.string(),        "--threads",     std::to_string(campaign.n_threads),
        "--cpu-moe",  "--gpu-backend",        backends.gpu,    "--moe-backend",
        backends.moe, "--moe-cache",          "off",           "--json"};
    const fs::path matrix = imatrix_path(campaign, campaign.models.at(variant.campaign_model));
    if (!matrix.empty()) arguments.insert(arguments.end(), {"--imatrix", matrix.string()});
    add_device(arguments, campaign);
    return arguments;
}

std::vector<std::string> imatrix_arguments(const Campaign & campaign, const CampaignModel & model,
                                           const Backends & backends) {
    std::vector<std::string> arguments{"imatrix",    model.path.string(),
                                       "--text",     model.imatrix_text.string(),
                                       "--out",      imatrix_path(campaign, model).string(),
                                       "--chunks",   std::to_string(model.imatrix_chunks),
                                       "--threads",  std::to_string(campaign.n_threads),
                                       "--cpu-moe",  "--gpu-backend",
                                       backends.gpu, "--json"};
    add_device(arguments, campaign);
    return arguments;
}

}  // namespace shimmy::lab
