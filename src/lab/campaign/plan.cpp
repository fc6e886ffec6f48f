#include "lab/campaign/plan.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

void check_placements(const Campaign & campaign, const CampaignModel & model, const InputInfo & info) {
    if (info.n_expert == 0) {
        fail("{}: the model has no experts, so there is nothing to offload and nothing to compare", model.source());
    }
    for (const engine::Placement placement : campaign.placements) {
        if (placement.n_cpu_moe > info.n_layer) {
            fail("{}: placement {} asks for more layers than the model's {}", model.source(),
                 engine::to_string(placement), info.n_layer);
        }
    }
}

void check_context(const Campaign & campaign, const CampaignModel & model, const InputInfo & info) {
    if (info.n_ctx_train > 0 && campaign.n_ctx > info.n_ctx_train) {
        fail("{}: n_ctx {} is beyond the model's {}", model.source(), campaign.n_ctx, info.n_ctx_train);
    }
}

void check_architecture(const CampaignModel & model, const InputInfo & info) {
    if (model.expected_architecture.empty() || model.expected_architecture == info.arch) return;
    fail("{}: the architecture is {}, the campaign expects {}", model.source(), info.arch, model.expected_architecture);
}

Variant plan_variant(const Campaign & campaign, size_t index, const InputInfo & info,
                     const std::string & quantization) {
    const CampaignModel & model = campaign.models[index];
    const auto made = [&](const std::string & type) {
        return campaign.out_dir / "models" / fmt::format("{}-{}.gguf", model.name, type);
    };
    if (model.is_synthetic()) {
        const std::string type = quantization == INPUT_AS_IS ? info.quantization : quantization;
        return {model.name, type, made(type), "", index};
    }
    if (quantization == INPUT_AS_IS || quantization == info.quantization) {
        return {model.name, info.quantization, model.path, model.path, index};
    }
    if (info.already_quantized) {
        fail(
            "{}: is already quantized ({}), so {} cannot be made from it; measure it with quantizations = [\"{}\"] or "
            "start from its F16 file",
            model.source(), info.quantization, quantization, INPUT_AS_IS);
    }
    return {model.name, quantization, made(quantization), model.path, index};
}

}  // namespace

std::vector<Variant> plan_variants(const Campaign & campaign, const std::vector<InputInfo> & inputs) {
    std::vector<Variant> variants;
    for (size_t i = 0; i < campaign.models.size(); ++i) {
        const CampaignModel & model = campaign.models[i];
        const InputInfo & info = inputs.at(i);
        check_architecture(model, info);
        check_placements(campaign, model, info);
        check_context(campaign, model, info);
        for (const std::string & quantization : model.quantizations) {
            Variant variant = plan_variant(campaign, i, info, quantization);
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
                for (const Mode mode : campaign.modes) {
                    for (const engine::Placement placement : campaign.placements)
                        runs.push_back({variant, placement, prompt, repeat, mode, 0});
                }
            }
        }
    }
    for (int repeat = 1; repeat <= campaign.load.repeats; ++repeat) {
        for (size_t variant = 0; variant < n_variants; ++variant) {
            for (const int n_clients : campaign.load.clients) {
                for (const engine::Placement placement : campaign.placements)
                    runs.push_back({variant, placement, 0, repeat, Mode::load, n_clients});
            }
        }
    }
    return runs;
}

fs::path result_path(const Campaign & campaign, const Variant & variant, const Run & run) {
    const std::string what =
        run.mode == Mode::load ? fmt::format("{}", run.n_clients) : campaign.prompts.at(run.prompt).id;
    return campaign.out_dir / "results" / variant.model / variant.quantization / engine::to_string(run.placement) /
           to_string(run.mode) / fmt::format("{}-{}.json", what, run.repeat);
}

std::string describe(const Campaign & campaign, const Variant & variant, const Run & run) {
    const std::string cell =
        fmt::format("{} {} {}", variant.model, variant.quantization, engine::to_string(run.placement));
    if (run.mode == Mode::load) return fmt::format("{} load, {} client(s), repeat {}", cell, run.n_clients, run.repeat);
    const std::string mode = run.mode == Mode::generate ? "" : fmt::format(" {}", to_string(run.mode));
    return fmt::format("{}{}, prompt {}, repeat {}", cell, mode, campaign.prompts.at(run.prompt).id, run.repeat);
}

std::vector<std::string> run_arguments(const Campaign & campaign, const Variant & variant, const Run & run,
                                       const Backends & backends) {
    std::vector<std::string> arguments;
    const auto add = [&](std::initializer_list<std::string> more) {
        arguments.insert(arguments.end(), more.begin(), more.end());
    };
    // A text that starts with '-' stays a value this way.
    const auto prompt = [&](size_t i) { return "--prompt=" + campaign.prompts.at(i).text; };
    if (run.mode == Mode::generate) {
        add({"generate", "--cold-run", "--no-profile"});  // only what the campaign says decides
    } else {
        add({"lab", "http"});
    }
    add({"--model", variant.path.string()});
    if (run.mode == Mode::load) {
        for (size_t i = 0; i < campaign.prompts.size(); ++i)
            add({prompt(i)});
        add({"--clients", fmt::format("{}", run.n_clients), "--duration", fmt::format("{}", campaign.load.duration_s)});
    } else {
        add({prompt(run.prompt)});
    }
    if (run.mode == Mode::no_stream) add({"--no-stream"});
    add({"--max-tokens", fmt::format("{}", campaign.max_tokens), "--seed", fmt::format("{}", campaign.seed),
         "--temperature", fmt::format("{}", campaign.temperature), "--ctx", fmt::format("{}", campaign.n_ctx)});
    if (campaign.n_threads > 0) add({"--threads", fmt::format("{}", campaign.n_threads)});
    add({"--device", campaign.device});
    if (backends.gpu != "auto") add({"--gpu-backend", backends.gpu});
    if (backends.moe != "auto") add({"--moe-backend", backends.moe});
    const bool all_on_cpu = run.placement == engine::Placement::offload();  // where a cache comes by itself
    if (all_on_cpu || backends.moe_cache != "off") add({"--moe-cache", backends.moe_cache});
    if (all_on_cpu) add({"--cpu-moe"});
    if (run.placement.n_cpu_moe > 0) add({"--n-cpu-moe", fmt::format("{}", run.placement.n_cpu_moe)});
    if (!run.placement.offloads()) add({"--placement", "gpu"});  // and not what fits best
    add({"--json"});
    return arguments;
}

}  // namespace shimmy::lab
