#include "lab/measure/summary.h"

#include "base/error.h"
#include "lab/campaign/languages.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace shimmy::lab {

namespace {

// The facts that runs of one table must share.
struct SharedFact {
    const char * pointer;
    const char * name;
};
constexpr const char * N_THREADS = "/n_threads";
constexpr std::array<SharedFact, 7> SHARED_FACTS{{
    {"/device/name", "device"},
    {"/device/description", "device"},
    {"/host/cpu", "host CPU"},
    {"/host/n_cores", "number of cores"},
    {N_THREADS, "number of threads"},
    {"/shimmy_version", "shimmy version"},
    {"/llama_cpp_version", "llama.cpp version"},
}};

Json fact(const Json & document, const char * pointer) {
    const Json::json_pointer at(pointer);
    return document.contains(at) ? document.at(at) : Json();
}

// `threads_vary`: the campaign wants them to.
void check_shared(const Json & first, const fs::path & first_file, const Json & document, const fs::path & file,
                  bool threads_vary) {
    for (const auto & [pointer, name] : SHARED_FACTS) {
        if (threads_vary && pointer == std::string_view(N_THREADS)) continue;
        const Json a = fact(first, pointer);
        const Json b = fact(document, pointer);
        if (a == b) continue;
        fail(
            "results of different {}s cannot share a table: {} has {}, {} has {}; measure into another folder (--out) "
            "or remove the results that do not belong",
            name, first_file.string(), json_text(a, -1), file.string(), json_text(b, -1));
    }
}

std::string started_at(const Json & document) {
    const Json at = fact(document, "/run/started_at");
    return at.is_string() ? at.get<std::string>() : "";
}

Conditions conditions_of(const Json & document) {
    Conditions conditions;
    conditions.shimmy_version = document["shimmy_version"];
    conditions.llama_cpp_version = document["llama_cpp_version"];
    const Json & device = document.at("device");
    conditions.device = {device.at("name"), device.at("description"), device.at("backend"), device.at("kind"),
                         device.value("software", false)};
    const Json & host = document.at("host");
    conditions.host = {host.value("name", ""), host.at("cpu"), host.at("os"), host.at("n_cores"), host.at("ram_bytes")};
    conditions.n_threads = document["n_threads"];
    conditions.first_run_at = conditions.last_run_at = started_at(document);
    return conditions;
}

void extend(Conditions & conditions, const Json & document) {
    const std::string at = started_at(document);
    conditions.first_run_at = std::min(conditions.first_run_at, at);
    conditions.last_run_at = std::max(conditions.last_run_at, at);
    if (document["n_threads"] != conditions.n_threads) conditions.n_threads = 0;
}

const Cell * find_complete(const std::vector<Cell> & cells, const CellKey & key, Mode mode) {
    for (const Cell & cell : cells) {
        if (cell == key && cell.mode == mode && cell.complete() && cell.figures) return &cell;
    }
    return nullptr;
}

// The baseline that a cell with offloaded experts is compared with: what says nothing about a baseline is left out.
const Cell * baseline_of(const std::vector<Cell> & cells, const Cell & offload) {
    const engine::Placement baseline = engine::Placement::baseline();
    return find_complete(
        cells,
        {offload.model, offload.quantization, baseline, that_applies(offload.point, run_kind(offload.mode, baseline))},
        offload.mode);
}

std::vector<Row> make_rows(const Summary & summary) {
    std::vector<Row> rows;
    for (const Cell & cell : summary.cells) {
        const bool compared = cell.mode == summary.table_mode() && cell.placement.offloads();
        if (!compared || !cell.complete() || !cell.figures) continue;
        const Cell * baseline = baseline_of(summary.cells, cell);
        if (baseline == nullptr) continue;
        const MeasuredFile & file = summary.variant(cell.model, cell.quantization);
        rows.push_back(
            {cell, file.sha256, file.file_size_bytes, cell.mode, *baseline->figures, *cell.figures, cell.at_base});
    }
    return rows;
}

std::vector<MeasuredFile> measured_files(const CampaignPlan & plan) {
    std::vector<MeasuredFile> files;
    for (size_t i = 0; i < plan.variants.size(); ++i) {
        const Variant & variant = plan.variants[i];
        const Mix * mix = find_mix(plan.campaign, variant.quantization);
        files.push_back({variant.model, variant.quantization, variant.path.string(), plan.sha256[i], 0, plan.errors[i],
                         mix == nullptr ? "" : mix->recipe()});
    }
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.results[i].state == ResultState::valid && plan.runs[i].mode != Mode::task)
            files.at(plan.runs[i].variant).file_size_bytes = plan.results[i].document["model"]["size_bytes"];
    }
    return files;
}

size_t index_of(const Campaign & campaign, const std::string & model) {
    const auto & models = campaign.models;
    const auto found = std::find_if(models.begin(), models.end(),
                                    [&](const CampaignModel & candidate) { return candidate.name == model; });
    if (found == models.end()) fail("the campaign has no model '{}'", model);
    return static_cast<size_t>(found - models.begin());
}

// Conditions, and the runs without which something is missing.
void go_through_runs(const CampaignPlan & plan, Summary & summary) {
    const Json * first = nullptr;
    fs::path first_file;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        const StoredResult & result = plan.results.at(i);
        const fs::path file = plan.result_path_of(i);
        const bool valid = result.state == ResultState::valid;
        const std::string reason = valid ? missing_figure(result.document) : result.reason;
        if (!reason.empty()) {
            const bool failed = valid || result.state == ResultState::failed;
            const Variant & variant = plan.variant_of(i);
            summary.missing.push_back(
                {variant.model, variant.quantization, plan.describe_run(i), file.string(), reason, failed});
            continue;
        }
        ++summary.n_valid_runs;
        if (plan.runs[i].mode == Mode::task) continue;
        if (first == nullptr) {
            first = &result.document;
            first_file = file;
            summary.conditions = conditions_of(*first);
        }
        check_shared(*first, first_file, result.document, file, value_of(plan.runs[i].point, "threads") != nullptr);
        extend(summary.conditions, result.document);
    }
}

}  // namespace

int64_t Row::saved_bytes() const {
    return static_cast<int64_t>(baseline.vram_bytes) - static_cast<int64_t>(offload.vram_bytes);
}

double Row::saved_percent() const {
    return 100.0 * static_cast<double>(saved_bytes()) / static_cast<double>(baseline.vram_bytes);
}

double Row::slowdown() const {
    return baseline.decode_tps.median / offload.decode_tps.median;
}

const CampaignModel & Summary::model(const std::string & name) const {
    return campaign.models.at(index_of(campaign, name));
}

const InputInfo & Summary::input(const std::string & model) const {
    return inputs.at(index_of(campaign, model));
}

const MeasuredFile & Summary::variant(const std::string & model, const std::string & quantization) const {
    for (const MeasuredFile & file : variants) {
        if (file.model == model && file.quantization == quantization) return file;
    }
    fail("the campaign has no {} of '{}'", quantization, model);
}

Mode Summary::table_mode() const {
    const auto & modes = campaign.modes;
    const bool generates = modes.empty() || std::find(modes.begin(), modes.end(), Mode::generate) != modes.end();
    return generates ? Mode::generate : modes.front();
}

std::vector<std::string> languages_of(const Summary & summary, const std::string & model) {
    const std::vector<std::string> & given = summary.model(model).languages;
    return given.empty() ? card_languages(summary.input(model).languages) : given;
}

std::string rerun_command(const Summary & summary, const std::string & command) {
    const auto & missing = summary.missing;
    const bool failed = std::any_of(missing.begin(), missing.end(), [](const MissingRun & run) { return run.failed; });
    return command + (failed ? " --retry-failed" : "");
}

Summary summarize_campaign(const CampaignPlan & plan) {
    Summary summary;
    summary.campaign = plan.campaign;
    summary.inputs = plan.inputs;
    summary.variants = measured_files(plan);
    go_through_runs(plan, summary);
    summary.cells = make_cells(plan);
    summary.rows = make_rows(summary);
    summary.streaming = compare_streaming(plan);
    summary.load = load_figures(plan);
    summary.tasks = task_figures(plan);
    summary.effects = axis_effects(plan);
    summary.interactions = axis_interactions(plan);
    return summary;
}

}  // namespace shimmy::lab
