#include "lab/plan/plan.h"

#include "base/error.h"
#include "engine/run/sampling_options.h"
#include "lab/campaign/tasks.h"

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
    int n_ctx = campaign.n_ctx;
    if (const Axis * axis = campaign.axes.find("n_ctx")) {
        n_ctx = 0;
        for (const std::string & value : axis->values)
            n_ctx = std::max(n_ctx, std::stoi(value));
    }
    if (info.n_ctx_train > 0 && n_ctx > info.n_ctx_train) {
        fail("{}: n_ctx {} is beyond the model's {}", model.source(), n_ctx, info.n_ctx_train);
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
    if (model.is_synthetic() && find_mix(campaign, quantization) != nullptr)
        fail("{}: {} is a mix, which is made of a model's file: a shape has plain types", model.source(), quantization);
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

std::string file_type(const Campaign & campaign, const Variant & variant) {
    const Mix * mix = find_mix(campaign, variant.quantization);
    return mix == nullptr ? variant.quantization : mix->type;
}

RunKind run_kind(Mode mode, engine::Placement placement) {
    return {mode != Mode::generate, placement.offloads()};
}

Point base_point(const Campaign & campaign, Mode mode, engine::Placement placement) {
    return that_applies(base_of(campaign.axes), run_kind(mode, placement));
}

namespace {

// Adds the run at each point of the design, once where points come to the same for it.
class Points {
public:
    explicit Points(const Campaign & campaign) : campaign_(campaign), points_(design_points(campaign.axes)) {}

    void add(const Run & like, const std::vector<Mode> & modes, std::vector<Run> & runs) const {
        const size_t first = runs.size();
        for (const Point & point : points_) {
            for (const Mode mode : modes) {
                for (const engine::Placement placement : campaign_.placements) {
                    Run run = like;
                    run.mode = mode;
                    run.placement = placement;
                    run.point = that_applies(point, run_kind(mode, placement));
                    const bool planned = std::any_of(
                        runs.begin() + static_cast<std::ptrdiff_t>(first), runs.end(), [&](const Run & other) {
                            return other.mode == mode && other.placement == placement && other.point == run.point;
                        });
                    if (!planned) runs.push_back(std::move(run));
                }
            }
        }
    }

private:
    const Campaign & campaign_;
    std::vector<Point> points_;
};

}  // namespace

std::vector<Run> plan_runs(const Campaign & campaign, size_t n_variants) {
    std::vector<Run> runs;
    const Points points(campaign);
    for (int repeat = 1; repeat <= campaign.repeats; ++repeat) {
        for (size_t variant = 0; variant < n_variants; ++variant) {
            for (size_t prompt = 0; prompt < campaign.prompts.size(); ++prompt)
                points.add({variant, {}, prompt, repeat}, campaign.modes, runs);
        }
    }
    for (int repeat = 1; repeat <= campaign.load.repeats; ++repeat) {
        for (size_t variant = 0; variant < n_variants; ++variant) {
            for (const int n_clients : campaign.load.clients)
                points.add({variant, {}, 0, repeat, Mode::load, n_clients}, {Mode::load}, runs);
        }
    }
    return runs;
}

std::vector<Run> plan_runs(const Campaign & campaign, const std::vector<Variant> & variants) {
    std::vector<Run> runs = plan_runs(campaign, variants.size());
    for (size_t task = 0; task < campaign.tasks.size(); ++task) {
        for (size_t variant = 0; variant < variants.size(); ++variant) {
            if (!campaign.models.at(variants[variant].campaign_model).is_synthetic())
                runs.push_back({variant, engine::Placement::offload(), 0, 1, Mode::task, 0, {}, task});
        }
    }
    return runs;
}

fs::path result_folder(const Campaign & campaign, const std::string & model, const std::string & quantization,
                       engine::Placement placement, Mode mode, const Point & at) {
    const fs::path folder =
        campaign.out_dir / "results" / model / quantization / engine::to_string(placement) / to_string(mode);
    const std::string point = file_name(campaign.axes, at);
    return point.empty() ? folder : folder / point;
}

fs::path result_path(const Campaign & campaign, const Variant & variant, const Run & run) {
    const std::string what = run.mode == Mode::load   ? fmt::format("{}", run.n_clients)
                             : run.mode == Mode::task ? campaign.tasks.at(run.task).id
                                                      : campaign.prompts.at(run.prompt).id;
    return result_folder(campaign, variant.model, variant.quantization, run.placement, run.mode, run.point) /
           fmt::format("{}-{}.json", what, run.repeat);
}

fs::path trace_path(const Campaign & campaign, const Variant & variant, const Run & run) {
    const bool traced =
        campaign.expert_trace && run.mode == Mode::generate && run.placement.offloads() && run.repeat == 1;
    return traced ? result_path(campaign, variant, run).replace_extension(".trace.csv") : fs::path();
}

std::string describe(const Campaign & campaign, const Variant & variant, const Run & run) {
    const std::string cell =
        fmt::format("{} {} {}", variant.model, variant.quantization, engine::to_string(run.placement));
    std::string point = words(campaign.axes, run.point);
    if (!point.empty()) point = ", " + point;
    if (run.mode == Mode::task)
        return fmt::format("{} {} task {}", variant.model, variant.quantization, campaign.tasks.at(run.task).id);
    if (run.mode == Mode::load)
        return fmt::format("{} load{}, {} client(s), repeat {}", cell, point, run.n_clients, run.repeat);
    const std::string mode = run.mode == Mode::generate ? "" : fmt::format(" {}", to_string(run.mode));
    return fmt::format("{}{}{}, prompt {}, repeat {}", cell, mode, point, campaign.prompts.at(run.prompt).id,
                       run.repeat);
}

RunOptions run_options(const Campaign & campaign, const Run & run, const Backends & backends) {
    const auto number = [&](const char * key, int fallback) {
        const std::string * value = value_of(run.point, key);
        return value == nullptr ? fallback : std::stoi(*value);
    };
    const auto text = [&](const char * key, const std::string & fallback) {
        const std::string * value = value_of(run.point, key);
        return value == nullptr ? fallback : *value;
    };
    return {number("n_ctx", campaign.n_ctx), number("threads", campaign.n_threads),
            number("max_tokens", campaign.max_tokens), text("moe_backend", backends.moe),
            text("moe_cache", backends.moe_cache)};
}

std::vector<std::string> run_arguments(const Campaign & campaign, const Variant & variant, const Run & run,
                                       const Backends & backends) {
    if (run.mode == Mode::task)
        return task_arguments(campaign, campaign.tasks.at(run.task), variant.path, {backends.gpu, backends.moe});
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
    const RunOptions options = run_options(campaign, run, backends);
    add({"--max-tokens", fmt::format("{}", options.max_tokens), "--seed", fmt::format("{}", campaign.seed),
         "--temperature", fmt::format("{}", campaign.temperature), "--ctx", fmt::format("{}", options.n_ctx)});
    if (run.mode == Mode::generate) {
        // As `lab http` asks for, and not what the model's file recommends: the modes are compared.
        const engine::SamplingOptions sampling;
        add({"--top-p", fmt::format("{}", sampling.top_p), "--top-k", fmt::format("{}", sampling.top_k), "--min-p",
             fmt::format("{}", sampling.min_p), "--repeat-penalty", fmt::format("{}", sampling.repeat_penalty)});
    }
    if (options.n_threads > 0) add({"--threads", fmt::format("{}", options.n_threads)});
    add({"--device", campaign.device});
    if (backends.gpu != "auto") add({"--gpu-backend", backends.gpu});
    if (options.moe_backend != "auto") add({"--moe-backend", options.moe_backend});
    const bool all_on_cpu = run.placement == engine::Placement::offload();  // where a cache comes by itself
    if (all_on_cpu || options.moe_cache != "off") add({"--moe-cache", options.moe_cache});
    for (const std::string & argument : axis_arguments(run.point))
        add({argument});
    const fs::path trace = trace_path(campaign, variant, run);
    if (!trace.empty()) add({"--expert-trace", trace.string()});
    if (all_on_cpu) add({"--cpu-moe"});
    if (run.placement.n_cpu_moe > 0) add({"--n-cpu-moe", fmt::format("{}", run.placement.n_cpu_moe)});
    if (!run.placement.offloads()) add({"--placement", "gpu"});  // and not what fits best
    add({"--json"});
    return arguments;
}

}  // namespace shimmy::lab
