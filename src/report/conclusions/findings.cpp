#include "report/conclusions/findings.h"

#include "base/text/units.h"
#include "report/conclusions/offloading.h"
#include "report/figures/axes.h"
#include "report/figures/selection.h"
#include "report/figures/tasks.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace shimmy::report {

namespace {

void add_model_findings(const lab::Summary & summary, const std::string & model, std::vector<Finding> & findings) {
    if (rows_of(summary, model).empty()) return;
    for (const engine::Placement placement : offloading_placements(summary, model)) {
        findings.push_back(reduction_finding(summary, model, placement));
        findings.push_back(slowdown_finding(summary, model, placement));
    }
    findings.push_back(sweet_spot_finding(summary, model));
}

void add_streaming_findings(const lab::Summary & summary, std::vector<Finding> & findings) {
    for (const lab::StreamingComparison & streaming : summary.streaming) {
        const lab::Statistics & percent = streaming.total_percent;
        const std::optional<double> half = percent.ci95_half_width();
        if (!half) continue;
        const double low = percent.mean - *half;
        const double high = percent.mean + *half;
        const auto signed_text = [](double value) { return fmt::format("{:+.1f}", value); };
        findings.push_back({streaming.model,
                            "streaming",
                            {{"cell", cell_name(summary, streaming)},
                             {"trend", low > 0.0    ? "rising"
                                       : high < 0.0 ? "falling"
                                                    : "none"},
                             {"mean", signed_text(percent.mean)},
                             {"low", signed_text(low)},
                             {"high", signed_text(high)},
                             {"n_pairs", percent.n}}});
    }
}

// Whether the interval of the row's slowdown, where there is one, holds 1.
bool is_chance(const lab::Summary & summary, const lab::Row & row) {
    if (!row.at_base) return false;
    for (const Slowdown & slowdown : slowdowns(summary, row.model, row.placement)) {
        if (slowdown.quantization == row.quantization) return slowdown.has_interval && slowdown.high >= 1.0;
    }
    return false;
}

void add_row_anomalies(const lab::Summary & summary, const lab::Row & row, std::vector<Finding> & found) {
    const std::string name = cell_name(summary, row);
    const uint64_t baseline = row.baseline.vram_bytes;
    const uint64_t offload = row.offload.vram_bytes;
    const std::string & model = row.model;
    if (baseline == offload)
        found.push_back({model, "nothing_offloaded", {{"cell", name}, {"vram", format_bytes(baseline)}}});
    if (baseline < offload)
        found.push_back({model,
                         "more_vram",
                         {{"cell", name}, {"offload", format_bytes(offload)}, {"baseline", format_bytes(baseline)}}});
    const double slowdown = row.slowdown();
    if (slowdown < 1.0 && !is_chance(summary, row))
        found.push_back(
            {model, "slower_baseline", {{"cell", name}, {"factor", fmt::format("{:.2f}", 1.0 / slowdown)}}});
}

void add_cell_anomalies(const lab::Summary & summary, const lab::Cell & cell, std::vector<Finding> & found) {
    const std::string name = fmt::format("{} ({})", cell_name(summary, cell), mode_name(cell.mode));
    const std::string & model = cell.model;
    if (cell.figures->vram_bytes == 0) found.push_back({model, "no_vram", {{"cell", name}}});
    for (const lab::AnswerText & text : cell.texts) {
        if (text.is_blank()) found.push_back({model, "empty_answer", {{"cell", name}, {"prompt", text.prompt_id}}});
        if (text.n_distinct > 1)
            found.push_back(
                {model, "answers_differ", {{"cell", name}, {"prompt", text.prompt_id}, {"n_texts", text.n_distinct}}});
    }
    constexpr double MAX_SPREAD = 0.10;
    for (const auto & [figure, label] :
         {std::pair{&lab::Sample::decode_tps, "decode rate"}, {&lab::Sample::ttft_ms, "TTFT"}}) {
        const double spread = spread_of(cell, figure);
        if (spread > MAX_SPREAD)
            found.push_back({model,
                             "spread",
                             {{"cell", name}, {"figure", label}, {"percent", fmt::format("{:.0f}", 100.0 * spread)}}});
    }
}

// Kernels that compute wrongly: above all others, as every figure of that placement is of another model.
void add_offload_defects(const lab::Summary & summary, const Quality & quality, std::vector<Finding> & found) {
    for (const lab::MeasuredFile & variant : summary.variants) {
        const OffloadFigures * check = quality.offload_of(variant.model, variant.quantization);
        if (check == nullptr || check->within_bound) continue;
        found.push_back({variant.model,
                         "offload_defect",
                         {{"type", variant.quantization},
                          {"mean_kld", fmt::format("{:.2g}", check->mean_kld)},
                          {"bound", fmt::format("{:.0g}", check->mean_kld_bound)}}});
    }
}

}  // namespace

std::vector<Finding> find_findings(const lab::Summary & summary) {
    std::vector<Finding> findings;
    if (summary.conditions.device.software) findings.push_back({"", "software"});
    for (const lab::CampaignModel & model : summary.campaign.models)
        add_model_findings(summary, model.name, findings);
    add_streaming_findings(summary, findings);
    for (const lab::CampaignModel & model : summary.campaign.models) {
        const std::vector<Finding> of_axes = axis_findings(summary, model.name);
        findings.insert(findings.end(), of_axes.begin(), of_axes.end());
        const std::vector<Finding> of_tasks = task_findings(summary, model.name);
        findings.insert(findings.end(), of_tasks.begin(), of_tasks.end());
    }
    return findings;
}

std::vector<Finding> find_anomalies(const lab::Summary & summary, const Quality & quality) {
    std::vector<Finding> found;
    add_offload_defects(summary, quality, found);
    for (const lab::Row & row : summary.rows)
        add_row_anomalies(summary, row, found);
    for (const lab::Cell & cell : summary.cells) {
        if (cell.figures) add_cell_anomalies(summary, cell, found);
    }
    for (const lab::StreamingComparison & streaming : summary.streaming) {
        if (streaming.n_sse_defects == 0) continue;
        found.push_back({streaming.model,
                         "stream_defects",
                         {{"cell", cell_name(summary, streaming)},
                          {"n", streaming.n_sse_defects},
                          {"first", streaming.first_sse_defect}}});
    }
    for (const lab::LoadFigures & load : summary.load) {
        if (load.n_failed_requests == 0) continue;
        found.push_back({load.model,
                         "failed_requests",
                         {{"cell", cell_name(summary, load)},
                          {"n_clients", load.n_clients},
                          {"n", load.n_failed_requests},
                          {"n_requests", load.n_requests}}});
    }
    return found;
}

}  // namespace shimmy::report
