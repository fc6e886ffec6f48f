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
        findings.push_back({model, reduction_sentence(summary, model, placement)});
        findings.push_back(
            {model, slowdown_sentence(slowdowns(summary, model, placement), engine::to_string(placement))});
    }
    findings.push_back({model, sweet_spot_sentence(summary, model)});
}

void add_streaming_findings(const lab::Summary & summary, std::vector<Finding> & findings) {
    for (const lab::StreamingComparison & streaming : summary.streaming) {
        const lab::Statistics & percent = streaming.total_percent;
        const std::optional<double> half = percent.ci95_half_width();
        if (!half) continue;
        const double low = percent.mean - *half;
        const double high = percent.mean + *half;
        const char * verdict = low > 0.0    ? "takes longer than not streaming"
                               : high < 0.0 ? "takes less time than not streaming"
                                            : "makes no difference that these runs can tell";
        findings.push_back(
            {streaming.model, fmt::format("{}: streaming {}: {:+.1f}% of the total time, 95% interval "
                                          "{:+.1f}% to {:+.1f}%, over {} pairs.",
                                          cell_name(summary, streaming), verdict, percent.mean, low, high, percent.n)});
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
    if (baseline == offload) {
        found.push_back({model, fmt::format("{}: VRAM is {} in both placements: nothing was offloaded.", name,
                                            format_bytes(baseline))});
    } else if (baseline < offload) {
        found.push_back({model, fmt::format("{}: needs more VRAM than its baseline ({} against {}).", name,
                                            format_bytes(offload), format_bytes(baseline))});
    }
    const double slowdown = row.slowdown();
    if (slowdown < 1.0 && !is_chance(summary, row)) {
        found.push_back({model, fmt::format("{}: the baseline is slower than offload, which decodes {:.2f} times as "
                                            "fast: nobody should see that on a GPU.",
                                            name, 1.0 / slowdown)});
    }
}

void add_cell_anomalies(const lab::Summary & summary, const lab::Cell & cell, std::vector<Finding> & found) {
    const std::string name = fmt::format("{} ({})", cell_name(summary, cell), mode_name(cell.mode));
    const std::string & model = cell.model;
    if (cell.figures->vram_bytes == 0) found.push_back({model, fmt::format("{}: VRAM is 0.", name)});
    for (const lab::AnswerText & text : cell.texts) {
        if (text.is_blank())
            found.push_back({model, fmt::format("{}: the answer to '{}' is empty.", name, text.prompt_id)});
        if (text.n_distinct > 1) {
            found.push_back({model, fmt::format("{}: the answers to '{}' differ between repeats ({} texts).", name,
                                                text.prompt_id, text.n_distinct)});
        }
    }
    constexpr double MAX_SPREAD = 0.10;
    for (const auto & [figure, label] :
         {std::pair{&lab::Sample::decode_tps, "decode rate"}, {&lab::Sample::ttft_ms, "TTFT"}}) {
        const double spread = spread_of(cell, figure);
        if (spread > MAX_SPREAD)
            found.push_back(
                {model, fmt::format("{}: the {} spreads by {:.0f}% (standard deviation over mean, above 10%).", name,
                                    label, 100.0 * spread)});
    }
}

// Kernels that compute wrongly: above all others, as every figure of that placement is of another model.
void add_offload_defects(const lab::Summary & summary, const Quality & quality, std::vector<Finding> & found) {
    for (const lab::MeasuredFile & variant : summary.variants) {
        const OffloadFigures * check = quality.offload_of(variant.model, variant.quantization);
        if (check == nullptr || check->within_bound) continue;
        found.push_back({variant.model,
                         fmt::format("{} offload is DEFECTIVE: its predictions differ from the baseline's by a mean KL "
                                     "divergence of {:.2g}, and rounding explains {:.0g} at most: its kernels, or the "
                                     "baseline's, compute wrongly.",
                                     variant.quantization, check->mean_kld, check->mean_kld_bound)});
    }
}

}  // namespace

std::vector<Finding> find_findings(const lab::Summary & summary) {
    std::vector<Finding> findings;
    if (summary.conditions.device.software) {
        findings.push_back({"",
                            "These runs used a software device: memory is as on a GPU of the same backend, speeds, "
                            "slowdowns and sweet spots are not."});
    }
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
                         fmt::format("{}: {} defects in event streams, the first: {}.", cell_name(summary, streaming),
                                     streaming.n_sse_defects, streaming.first_sse_defect)});
    }
    for (const lab::LoadFigures & load : summary.load) {
        if (load.n_failed_requests == 0) continue;
        found.push_back({load.model, fmt::format("{}, {} clients: {} of {} requests failed.", cell_name(summary, load),
                                                 load.n_clients, load.n_failed_requests, load.n_requests)});
    }
    return found;
}

}  // namespace shimmy::report
