#include "lab/summary.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace shimmy::lab {

namespace {

// A cell of the measurement: one variant in one placement.
struct CellSamples {
    bool whole = true;  // every run valid, with every figure
    uint64_t vram_bytes = 0;
    uint64_t file_size_bytes = 0;
    std::vector<double> ttft_ms;
    std::vector<double> prefill_tps;
    std::vector<double> decode_tps;
};
using Cells = std::map<std::pair<size_t, std::string>, CellSamples>;  // by variant and placement

// The facts that runs of one table must share.
struct SharedFact {
    const char * pointer;
    const char * name;
};
constexpr std::array<SharedFact, 7> SHARED_FACTS{{
    {"/device/name", "device"},
    {"/device/description", "device"},
    {"/host/cpu", "host CPU"},
    {"/host/n_cores", "number of cores"},
    {"/n_threads", "number of threads"},
    {"/shimmy_version", "shimmy version"},
    {"/llama_cpp_version", "llama.cpp version"},
}};

Json fact(const Json & document, const char * pointer) {
    const Json::json_pointer at(pointer);
    return document.contains(at) ? document.at(at) : Json();
}

void check_shared(const Json & first, const fs::path & first_file, const Json & document, const fs::path & file) {
    for (const auto & [pointer, name] : SHARED_FACTS) {
        const Json a = fact(first, pointer);
        const Json b = fact(document, pointer);
        if (a == b) continue;
        fail(
            "results of different {}s cannot share a table: {} has {}, {} has {}; measure into another folder (--out) "
            "or "
            "remove the results that do not belong",
            name, first_file.string(), a.dump(), file.string(), b.dump());
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
    conditions.device = document["device"];
    conditions.host = document["host"];
    conditions.n_threads = document["n_threads"];
    conditions.first_run_at = conditions.last_run_at = started_at(document);
    return conditions;
}

void extend(Conditions & conditions, const Json & document) {
    const std::string at = started_at(document);
    conditions.first_run_at = std::min(conditions.first_run_at, at);
    conditions.last_run_at = std::max(conditions.last_run_at, at);
}

void add_sample(CellSamples & cell, const Json & document) {
    cell.vram_bytes = std::max(cell.vram_bytes, document["memory"]["vram_bytes"].get<uint64_t>());
    cell.file_size_bytes = document["model"]["size_bytes"];
    cell.ttft_ms.push_back(document["ttft_ms"]);
    cell.prefill_tps.push_back(document["prefill_tps"]);
    cell.decode_tps.push_back(document["decode_tps"]);
}

// Why a valid result gives no sample; empty if it does.
std::string missing_figure(const Json & document) {
    if (document["decode_tps"].is_number() && document["decode_tps"].get<double>() > 0.0) return "";
    return fmt::format("has no decode rate, as the answer has {} token(s): use another prompt",
                       document["n_output_tokens"].dump());
}

Figures figures_of(const CellSamples & cell) {
    return {cell.vram_bytes, summarize(cell.ttft_ms), summarize(cell.prefill_tps), summarize(cell.decode_tps)};
}

std::vector<Row> make_rows(const Campaign & campaign, const std::vector<Variant> & variants,
                           const std::vector<std::string> & sha256, const Cells & cells) {
    std::vector<Row> rows;
    for (size_t i = 0; i < variants.size(); ++i) {
        const auto baseline = cells.find({i, engine::to_string(engine::Placement::baseline())});
        if (baseline == cells.end() || !baseline->second.whole) continue;
        for (const engine::Placement placement : campaign.placements) {
            const auto offload = cells.find({i, engine::to_string(placement)});
            if (!placement.offloads() || offload == cells.end() || !offload->second.whole) continue;
            rows.push_back({variants[i].model, variants[i].quantization, sha256.at(i), baseline->second.file_size_bytes,
                            placement, figures_of(baseline->second), figures_of(offload->second)});
        }
    }
    return rows;
}

Json to_json(const Statistics & s) {
    return {{"n", s.n},   {"median", s.median}, {"min", s.min},   {"q1", s.q1},
            {"q3", s.q3}, {"max", s.max},       {"mean", s.mean}, {"stddev", s.stddev}};
}

Json to_json(const Figures & figures) {
    return {{"vram_bytes", figures.vram_bytes},
            {"ttft_ms", to_json(figures.ttft_ms)},
            {"prefill_tps", to_json(figures.prefill_tps)},
            {"decode_tps", to_json(figures.decode_tps)}};
}

Json to_json(const Row & row) {
    return {{"model", row.model},
            {"quantization", row.quantization},
            {"placement", engine::to_string(row.placement)},
            {"model_sha256", row.model_sha256},
            {"file_size_bytes", row.file_size_bytes},
            {"baseline", to_json(row.baseline)},
            {"offload", to_json(row.offload)},
            {"saved_bytes", row.saved_bytes()},
            {"saved_percent", row.saved_percent()},
            {"slowdown", row.slowdown()}};
}

Json settings_json(const Campaign & campaign) {
    Json prompts = Json::array();
    for (const Prompt & prompt : campaign.prompts)
        prompts.push_back({{"id", prompt.id}, {"text", prompt.text}});
    return {{"repeats", campaign.repeats}, {"temperature", campaign.temperature},
            {"seed", campaign.seed},       {"max_tokens", campaign.max_tokens},
            {"n_ctx", campaign.n_ctx},     {"prompts", prompts}};
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

Summary summarize_campaign(const Campaign & campaign, const std::vector<Variant> & variants,
                           const std::vector<std::string> & sha256, const std::vector<Run> & runs,
                           const std::vector<StoredResult> & results) {
    Summary summary;
    summary.campaign = campaign;
    Cells cells;
    const Json * first = nullptr;
    fs::path first_file;
    for (size_t i = 0; i < runs.size(); ++i) {
        const Run & run = runs[i];
        const Variant & variant = variants.at(run.variant);
        const StoredResult & result = results.at(i);
        const fs::path file = result_path(campaign, variant, run);
        CellSamples & cell = cells[{run.variant, engine::to_string(run.placement)}];
        const bool valid = result.state == ResultState::valid;
        const std::string reason = valid ? missing_figure(result.document) : result.reason;
        if (!reason.empty()) {
            cell.whole = false;
            const bool failed = valid || result.state == ResultState::failed;
            summary.missing.push_back({describe(campaign, variant, run), file.string(), reason, failed});
            continue;
        }
        if (first == nullptr) {
            first = &result.document;
            first_file = file;
            summary.conditions = conditions_of(*first);
        }
        check_shared(*first, first_file, result.document, file);
        extend(summary.conditions, result.document);
        add_sample(cell, result.document);
        ++summary.n_valid_runs;
    }
    summary.rows = make_rows(campaign, variants, sha256, cells);
    return summary;
}

Json to_json(const Summary & summary) {
    const Conditions & conditions = summary.conditions;
    Json rows = Json::array();
    for (const Row & row : summary.rows)
        rows.push_back(to_json(row));
    Json missing = Json::array();
    for (const MissingRun & run : summary.missing) {
        missing.push_back({{"run", run.what}, {"file", run.file}, {"failed", run.failed}, {"reason", run.reason}});
    }
    Json document{{"campaign", summary.campaign.name}, {"out_dir", summary.campaign.out_dir.string()}};
    if (summary.n_valid_runs > 0) {
        document["shimmy_version"] = conditions.shimmy_version;
        document["llama_cpp_version"] = conditions.llama_cpp_version;
        document["device"] = conditions.device;
        document["host"] = conditions.host;
        document["n_threads"] = conditions.n_threads;
        document["first_run_at"] = conditions.first_run_at;
        document["last_run_at"] = conditions.last_run_at;
    }
    document["settings"] = settings_json(summary.campaign);
    document["n_valid_runs"] = summary.n_valid_runs;
    document["rows"] = rows;
    document["missing"] = missing;
    return document;
}

}  // namespace shimmy::lab
