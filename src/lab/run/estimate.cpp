#include "lab/run/estimate.h"

#include "base/text/units.h"
#include "engine/run/answer.h"
#include "eval/task.h"
#include "lab/measure/statistics.h"
#include "lab/plan/quantized_models.h"
#include "lab/run/quality_run.h"
#include "library/names.h"
#include "quality/measurement.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace shimmy::lab {

namespace {

// As estimate_assumptions() says.
constexpr double READ_BYTES_PER_S = GIB;
constexpr double WRITE_BYTES_PER_S = 0.1 * GIB;
constexpr double DECODE_TPS = 10.0;
constexpr double PREFILL_TPS = 100.0;      // of prompts and depths that the campaign asks for
constexpr double LETTERS_PER_TOKEN = 4.0;  // of tasks and texts
constexpr int N_ANSWERS = 2;               // a run answers cold and warm
constexpr double CHUNK = 512.0;            // tokens, as quality and matrices are computed

// Variant, placement, mode, clients, settings.
using Like = std::tuple<size_t, std::string, Mode, int, std::string>;

Like like(const Run & run) {
    const std::string settings =
        run.mode == Mode::task ? std::to_string(run.task) : json_text(axes_json(run.point), -1);
    return {run.variant, engine::to_string(run.placement), run.mode, run.n_clients, settings};
}

std::map<Like, double> measured_s(const CampaignPlan & plan) {
    std::map<Like, std::vector<double>> samples;
    const Json::json_pointer wall("/run/wall_ms");
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const StoredResult & result = plan.results[i];
        if (result.state == ResultState::valid && result.document.contains(wall))
            samples[like(plan.runs[i])].push_back(result.document.at(wall).get<double>() / 1000.0);
    }
    std::map<Like, double> medians;
    for (const auto & [key, values] : samples)
        medians[key] = summarize(values).median;
    return medians;
}

uint64_t model_bytes(const fs::path & file) {
    uint64_t bytes = 0;
    for (const fs::path & part : library::model_files(file))
        bytes += fs::file_size(part);
    return bytes;
}

uint64_t file_bytes(const CampaignPlan & plan, size_t variant, const Hooks & hooks) {
    const Variant & file = plan.variants[variant];
    return fs::exists(file.path) ? model_bytes(file.path) : hooks.loaded_bytes(plan.campaign, file);
}

double load_s(uint64_t bytes) {
    return static_cast<double>(bytes) / READ_BYTES_PER_S;
}

// Time to compute a text, or at most so many chunks of it (0: all).
double text_s(const fs::path & text, int n_chunks) {
    std::error_code absent;
    const auto letters = fs::file_size(text, absent);
    const double n_tokens = absent ? 0.0 : static_cast<double>(letters) / LETTERS_PER_TOKEN;
    return (n_chunks > 0 ? std::min(n_tokens, n_chunks * CHUNK) : n_tokens) / PREFILL_TPS;
}

double task_s(const CampaignTask & task) {
    const double prefill_s = static_cast<double>(task.n_chars) / LETTERS_PER_TOKEN / PREFILL_TPS;
    const bool in_words = eval::is_generated(*eval::form_named(task.form));
    const double n_tokens = in_words ? static_cast<double>(task.n_questions) * task.max_tokens : 0.0;
    return prefill_s + n_tokens / DECODE_TPS;
}

double predicted_s(const Campaign & campaign, const Run & run, uint64_t bytes) {
    if (run.mode == Mode::load) return load_s(bytes) + campaign.load.duration_s;
    if (run.mode == Mode::task) return load_s(bytes) + task_s(campaign.tasks.at(run.task));
    const auto tokens = [&](const char * key) {
        const std::string * value = value_of(run.point, key);
        return value == nullptr ? 0.0 : std::stod(*value);
    };
    const double prefill_s = (tokens("depth") + tokens("prompt_tokens")) / PREFILL_TPS;
    const int n_tokens = run_options(campaign, run, {}).max_tokens;
    return load_s(bytes) + N_ANSWERS * prefill_s + (n_tokens + std::min(n_tokens, engine::N_COLD_TOKENS)) / DECODE_TPS;
}

const Mix * searched_mix(const CampaignPlan & plan, size_t variant) {
    const Mix * mix = find_mix(plan.campaign, plan.variants[variant].quantization);
    return mix != nullptr && mix->is_searched() ? mix : nullptr;
}

const CampaignModel & model_of(const CampaignPlan & plan, size_t variant) {
    return plan.campaign.models.at(plan.variants[variant].campaign_model);
}

// The median of the finished searches for this model on the same chunks; their sizes hardly matter.
std::optional<double> measured_search_s(const CampaignPlan & plan, size_t variant) {
    const Mix & wanted = *searched_mix(plan, variant);
    std::vector<double> samples;
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        const Mix * mix = searched_mix(plan, i);
        if (mix == nullptr || plan.sha256[i].empty() ||
            plan.variants[i].campaign_model != plan.variants[variant].campaign_model || mix->text != wanted.text ||
            mix->chunks != wanted.chunks)
            continue;
        if (const auto made_ms = recorded_made_ms(plan.variants[i])) samples.push_back(*made_ms / 1000.0);
    }
    if (samples.empty()) return std::nullopt;
    return summarize(samples).median;
}

// The original is run once, and then a file of its size is made and run again and again.
double predicted_search_s(const CampaignPlan & plan, size_t variant, const Hooks & hooks) {
    const Mix & mix = *searched_mix(plan, variant);
    const uint64_t bytes = model_bytes(plan.variants[variant].input);
    const double run_s = load_s(bytes) + text_s(mix.text, mix.chunks);
    const double make_s = static_cast<double>(bytes) / WRITE_BYTES_PER_S;
    const auto n_files = static_cast<double>(hooks.n_searched_files(plan.campaign, plan.variants[variant]));
    return run_s + n_files * (make_s + run_s);
}

TimeOf files_s(const CampaignPlan & plan, const std::vector<size_t> & variants, const Hooks & hooks) {
    TimeOf files;
    std::set<fs::path> matrices;
    for (const size_t i : variants) {
        const CampaignModel & model = model_of(plan, i);
        if (!model.imatrix_text.empty()) {
            const fs::path matrix = imatrix_path(plan.campaign, model);
            if (!fs::exists(matrix) && matrices.insert(matrix).second)
                files.time_s += load_s(model_bytes(model.path)) + text_s(model.imatrix_text, model.imatrix_chunks);
        }
        if (searched_mix(plan, i) == nullptr) {
            files.add_predicted(static_cast<double>(hooks.variant_bytes(plan.campaign, plan.variants[i])) /
                                WRITE_BYTES_PER_S);
        } else if (const auto known = measured_search_s(plan, i)) {
            files.add_measured(*known);
        } else {
            files.add_predicted(predicted_search_s(plan, i, hooks));
        }
    }
    return files;
}

TimeOf runs_s(const CampaignPlan & plan, const std::vector<size_t> & runs, const Hooks & hooks) {
    TimeOf result;
    const std::map<Like, double> measured = measured_s(plan);
    std::map<size_t, uint64_t> bytes;
    for (const size_t i : runs) {
        const Run & run = plan.runs[i];
        if (const auto known = measured.find(like(run)); known != measured.end()) {
            result.add_measured(known->second);
            continue;
        }
        if (!bytes.contains(run.variant)) bytes[run.variant] = file_bytes(plan, run.variant, hooks);
        result.add_predicted(predicted_s(plan.campaign, run, bytes[run.variant]));
    }
    return result;
}

TimeOf qualities_s(const CampaignPlan & plan, const std::vector<size_t> & qualities, const Hooks & hooks) {
    TimeOf result;
    const QualityTest & quality = plan.campaign.quality;
    const double one_s = text_s(quality.text, quality.chunks);
    const double checked_s = std::min(
        one_s, text_s(quality.text, quality::MAX_OFFLOAD_CHUNKS));  // with experts on the GPU, and again in RAM
    std::set<size_t> originals;
    for (const size_t i : qualities) {
        const size_t model = plan.variants[i].campaign_model;
        const std::vector<double> known = measured_quality_s(plan, model);
        if (!known.empty()) {
            result.add_measured(summarize(known).median);
            continue;
        }
        const double load = load_s(file_bytes(plan, i, hooks));
        double time_s = plan.variants[i].is_input() ? 0.0 : load + one_s;
        if (originals.insert(model).second) time_s += load_s(model_bytes(model_of(plan, i).path)) + one_s;
        if (quality.check_offload) time_s += 2.0 * (load + checked_s);
        result.add_predicted(time_s);
    }
    return result;
}

}  // namespace

std::string estimate_assumptions(const Campaign & campaign) {
    const auto searched = [](const Mix & mix) { return mix.is_searched(); };
    const auto of_text = [](const CampaignModel & model) { return !model.imatrix_text.empty(); };
    const bool has_texts = !campaign.tasks.empty() || !campaign.quality.text.empty() ||
                           std::any_of(campaign.mixes.begin(), campaign.mixes.end(), searched) ||
                           std::any_of(campaign.models.begin(), campaign.models.end(), of_text);
    const bool has_lengths =
        has_texts || campaign.axes.find("depth") != nullptr || campaign.axes.find("prompt_tokens") != nullptr;
    const std::string files = "files are read at 1 GiB/s and made at 0.1 GiB/s, ";
    return files +
           (has_lengths ? "prompts are computed at 100 tokens/s and 10 tokens are generated per second"
                        : "and 10 tokens are generated per second") +
           (has_texts ? ", with 4 letters in a token of a task or text" : "");
}

const char * estimate_leaves_out() {
    return "hashing model files, and writing the documents";
}

Estimate estimate(const CampaignPlan & plan, const std::vector<size_t> & variants, const std::vector<size_t> & runs,
                  const std::vector<size_t> & qualities, const Hooks & hooks) {
    Estimate result;
    for (const size_t variant : variants)
        result.disk_bytes += hooks.variant_bytes(plan.campaign, plan.variants[variant]);
    result.scratch_bytes = scratch_bytes(plan, variants);
    result.files = files_s(plan, variants, hooks);
    result.runs = runs_s(plan, runs, hooks);
    result.quality = qualities_s(plan, qualities, hooks);
    return result;
}

uint64_t scratch_bytes(const CampaignPlan & plan, const std::vector<size_t> & variants) {
    uint64_t most = 0;
    for (const size_t i : variants) {
        if (searched_mix(plan, i) != nullptr) most = std::max(most, model_bytes(plan.variants[i].input));
    }
    return most;
}

}  // namespace shimmy::lab
