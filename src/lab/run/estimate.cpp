#include "lab/run/estimate.h"

#include "base/text/units.h"
#include "eval/task.h"
#include "lab/measure/statistics.h"
#include "library/names.h"

#include <map>
#include <optional>
#include <tuple>

namespace shimmy::lab {

namespace {

// As estimate_assumptions() says.
constexpr double READ_BYTES_PER_S = GIB;
constexpr double WRITE_BYTES_PER_S = 0.1 * GIB;
constexpr double DECODE_TPS = 10.0;
constexpr double PREFILL_TPS = 100.0;      // of prompts and depths that the campaign asks for
constexpr double LETTERS_PER_TOKEN = 4.0;  // of tasks
constexpr int N_ANSWERS = 2;               // a run answers cold and warm

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

uint64_t file_bytes(const CampaignPlan & plan, size_t variant, const Hooks & hooks) {
    const Variant & file = plan.variants[variant];
    if (!fs::exists(file.path)) return hooks.variant_bytes(plan.campaign, file);
    uint64_t bytes = 0;
    for (const fs::path & part : library::model_files(file.path))
        bytes += fs::file_size(part);
    return bytes;
}

double task_s(const CampaignTask & task) {
    const double prefill_s = static_cast<double>(task.n_chars) / LETTERS_PER_TOKEN / PREFILL_TPS;
    const bool in_words = eval::is_generated(*eval::form_named(task.form));
    const double n_tokens = in_words ? static_cast<double>(task.n_questions) * task.max_tokens : 0.0;
    return prefill_s + n_tokens / DECODE_TPS;
}

double predicted_s(const Campaign & campaign, const Run & run, uint64_t bytes) {
    const double load_s = static_cast<double>(bytes) / READ_BYTES_PER_S;
    if (run.mode == Mode::load) return load_s + campaign.load.duration_s;
    if (run.mode == Mode::task) return load_s + task_s(campaign.tasks.at(run.task));
    const auto tokens = [&](const char * key) {
        const std::string * value = value_of(run.point, key);
        return value == nullptr ? 0.0 : std::stod(*value);
    };
    const double prefill_s = (tokens("depth") + tokens("prompt_tokens")) / PREFILL_TPS;
    const double decode_s = run_options(campaign, run, {}).max_tokens / DECODE_TPS;
    return load_s + N_ANSWERS * (prefill_s + decode_s);
}

}  // namespace

std::string estimate_assumptions(const Campaign & campaign) {
    const bool has_lengths = campaign.axes.find("depth") != nullptr || campaign.axes.find("prompt_tokens") != nullptr ||
                             !campaign.tasks.empty();
    const std::string files = "files are read at 1 GiB/s and made at 0.1 GiB/s, ";
    const char * letters = campaign.tasks.empty() ? "" : ", with 4 letters in a token of a task";
    return files +
           (has_lengths ? "prompts are computed at 100 tokens/s and 10 tokens are generated per second"
                        : "and 10 tokens are generated per second") +
           letters;
}

Estimate estimate(const CampaignPlan & plan, const std::vector<size_t> & variants, const std::vector<size_t> & runs,
                  const Hooks & hooks) {
    Estimate result;
    for (const size_t variant : variants)
        result.disk_bytes += hooks.variant_bytes(plan.campaign, plan.variants[variant]);
    result.time_s = static_cast<double>(result.disk_bytes) / WRITE_BYTES_PER_S;
    const std::map<Like, double> measured = measured_s(plan);
    std::map<size_t, uint64_t> bytes;
    for (const size_t i : runs) {
        const Run & run = plan.runs[i];
        if (const auto known = measured.find(like(run)); known != measured.end()) {
            result.time_s += known->second;
            ++result.n_measured;
            continue;
        }
        if (!bytes.contains(run.variant)) bytes[run.variant] = file_bytes(plan, run.variant, hooks);
        result.time_s += predicted_s(plan.campaign, run, bytes[run.variant]);
        ++result.n_predicted;
    }
    return result;
}

}  // namespace shimmy::lab
