#include "lab/plan.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

void check_placements(const Campaign & campaign, const CampaignModel & model, const InputInfo & info) {
    if (info.n_expert == 0) {
        fail("{}: the model has no experts, so there is nothing to offload and nothing to compare",
             model.path.string());
    }
    for (const engine::Placement placement : campaign.placements) {
        if (placement.n_cpu_moe > info.n_layer) {
            fail("{}: placement {} asks for more layers than the model's {}", model.path.string(),
                 engine::to_string(placement), info.n_layer);
        }
    }
}

void check_context(const Campaign & campaign, const CampaignModel & model, const InputInfo & info) {
    if (info.n_ctx_train > 0 && campaign.n_ctx > info.n_ctx_train) {
        fail("{}: n_ctx {} is beyond the model's {}", model.path.string(), campaign.n_ctx, info.n_ctx_train);
    }
}

Variant plan_variant(const Campaign & campaign, const CampaignModel & model, const InputInfo & info,
                     const std::string & quantization) {
    if (quantization == INPUT_AS_IS || quantization == info.quantization) {
        return {model.name, info.quantization, model.path, model.path};
    }
    if (info.already_quantized) {
        fail(
            "{}: is already quantized ({}), so {} cannot be made from it; measure it with quantizations = [\"{}\"] or "
            "start from its F16 file",
            model.path.string(), info.quantization, quantization, INPUT_AS_IS);
    }
    const fs::path quantized = campaign.out_dir / "models" / fmt::format("{}-{}.gguf", model.name, quantization);
    return {model.name, quantization, quantized, model.path};
}

}  // namespace

std::vector<Variant> plan_variants(const Campaign & campaign, const std::vector<InputInfo> & inputs) {
    std::vector<Variant> variants;
    for (size_t i = 0; i < campaign.models.size(); ++i) {
        const CampaignModel & model = campaign.models[i];
        const InputInfo & info = inputs.at(i);
        check_placements(campaign, model, info);
        check_context(campaign, model, info);
        for (const std::string & quantization : model.quantizations) {
            Variant variant = plan_variant(campaign, model, info, quantization);
            const bool twice = std::any_of(variants.begin(), variants.end(), [&](const Variant & other) {
                return other.model == variant.model && other.quantization == variant.quantization;
            });
            if (!twice) variants.push_back(std::move(variant));  // "input" may name a listed type again
        }
    }
    return variants;
}

std::vector<Run> plan_runs(const Campaign & campaign, size_t n_variants) {
    std::vector<Run> runs;
    for (int repeat = 1; repeat <= campaign.repeats; ++repeat) {
        for (size_t variant = 0; variant < n_variants; ++variant) {
            for (size_t prompt = 0; prompt < campaign.prompts.size(); ++prompt) {
                for (const engine::Placement placement : campaign.placements) {
                    runs.push_back({variant, placement, prompt, repeat});
                }
            }
        }
    }
    return runs;
}

fs::path result_path(const Campaign & campaign, const Variant & variant, const Run & run) {
    return campaign.out_dir / "results" / variant.model / variant.quantization / engine::to_string(run.placement) /
           fmt::format("{}-{}.json", campaign.prompts.at(run.prompt).id, run.repeat);
}

std::string describe(const Campaign & campaign, const Variant & variant, const Run & run) {
    return fmt::format("{} {} {}, prompt {}, repeat {}", variant.model, variant.quantization,
                       engine::to_string(run.placement), campaign.prompts.at(run.prompt).id, run.repeat);
}

std::vector<std::string> generate_arguments(const Campaign & campaign, const Variant & variant, const Run & run,
                                            const std::string & gpu_backend) {
    std::vector<std::string> arguments{
        "generate",
        "--model",
        variant.path.string(),
        "--prompt=" + campaign.prompts.at(run.prompt).text,  // a text that starts with '-' stays a value this way
        "--max-tokens",
        fmt::format("{}", campaign.max_tokens),
        "--seed",
        fmt::format("{}", campaign.seed),
        "--temperature",
        fmt::format("{}", campaign.temperature),
        "--ctx",
        fmt::format("{}", campaign.n_ctx),
    };
    const auto add = [&](std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); };
    if (campaign.n_threads > 0) add({"--threads", fmt::format("{}", campaign.n_threads)});
    add({"--device", campaign.device});
    if (gpu_backend != "auto") add({"--gpu-backend", gpu_backend});
    if (run.placement == engine::Placement::offload()) add({"--cpu-moe"});
    if (run.placement.n_cpu_moe > 0) add({"--n-cpu-moe", fmt::format("{}", run.placement.n_cpu_moe)});
    add({"--json"});
    return arguments;
}

}  // namespace shimmy::lab
