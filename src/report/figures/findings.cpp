#include "report/figures/findings.h"

#include "base/units.h"
#include "report/figures/axes.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace shimmy::report {

namespace {

constexpr double CONSISTENT_POINTS = 5.0;  // percent of VRAM saved may differ by this much and still be called the same
constexpr double SWEET_SPOT_SHARE = 0.5;   // of the fastest decode rate that fits

using Rows = std::vector<const lab::Row *>;

std::vector<engine::Placement> offloading_placements(const Rows & rows) {
    std::vector<engine::Placement> placements;
    for (const lab::Row * row : rows) {
        if (std::find(placements.begin(), placements.end(), row->placement) == placements.end())
            placements.push_back(row->placement);
    }
    return placements;
}

Rows with_placement(const Rows & rows, engine::Placement placement) {
    Rows found;
    for (const lab::Row * row : rows) {
        if (row->placement == placement) found.push_back(row);
    }
    // Smallest file first: that is the order in which a quantization grows.
    std::stable_sort(found.begin(), found.end(),
                     [](const lab::Row * a, const lab::Row * b) { return a->file_size_bytes < b->file_size_bytes; });
    return found;
}

std::string reduction_finding(const Rows & rows, const std::string & placement) {
    const auto by_saving = [](const lab::Row * a, const lab::Row * b) {
        return a->saved_percent() < b->saved_percent();
    };
    const auto [least, most] = std::minmax_element(rows.begin(), rows.end(), by_saving);
    const double low = (*least)->saved_percent();
    const double high = (*most)->saved_percent();
    if (rows.size() == 1)
        return fmt::format("{} saves {:.1f}% of the VRAM of {}.", placement, low, (*least)->quantization);
    const std::string range =
        fmt::format("from {:.1f}% ({}) to {:.1f}% ({})", low, (*least)->quantization, high, (*most)->quantization);
    return high - low <= CONSISTENT_POINTS
               ? fmt::format("The share of VRAM that {} saves is about the same in every quantization: {}.", placement,
                             range)
               : fmt::format("The share of VRAM that {} saves depends on the quantization: {}.", placement, range);
}

std::string slowdown_finding(const Rows & rows, const std::string & placement) {
    std::string list;
    bool rising = true;
    bool falling = true;
    for (size_t i = 0; i < rows.size(); ++i) {
        const double slowdown = rows[i]->slowdown();
        list += fmt::format("{}{} {:.2f}x", i == 0 ? "" : ", ", rows[i]->quantization, slowdown);
        if (i == 0) continue;
        const double before = rows[i - 1]->slowdown();
        rising = rising && slowdown > before;
        falling = falling && slowdown < before;
    }
    const char * trend = rising    ? "grows with the size of the quantization"
                         : falling ? "shrinks as the quantization grows"
                                   : "does not follow the size of the quantization";
    if (rows.size() < 2) return fmt::format("With {} decoding is slower by {}.", placement, list);
    return fmt::format("The slowdown of decoding with {} {}: {}.", placement, trend, list);
}

// For growing VRAM, the quantization with the most bits among the cells that fit and decode at least at half of the
// rate of the fastest that fits.
std::string sweet_spot_finding(std::vector<const lab::Cell *> cells,
                               const std::map<std::string, uint64_t> & file_bytes) {
    std::stable_sort(cells.begin(), cells.end(), [](const lab::Cell * a, const lab::Cell * b) {
        return a->figures->vram_bytes < b->figures->vram_bytes;
    });
    std::string list;
    std::string last;
    for (size_t n_fit = 1; n_fit <= cells.size(); ++n_fit) {
        const auto rate = [](const lab::Cell * cell) { return cell->figures->decode_tps.median; };
        double fastest = 0.0;
        for (size_t i = 0; i < n_fit; ++i)
            fastest = std::max(fastest, rate(cells[i]));
        const lab::Cell * best = nullptr;
        for (size_t i = 0; i < n_fit; ++i) {
            if (rate(cells[i]) < SWEET_SPOT_SHARE * fastest) continue;
            const auto key = [&](const lab::Cell * cell) {
                return std::pair(file_bytes.at(cell->quantization), rate(cell));
            };
            if (best == nullptr || key(cells[i]) > key(best)) best = cells[i];
        }
        const std::string name = best->name();
        if (name == last) continue;
        list += fmt::format("{}from {} of VRAM {} ({} tokens/s)", list.empty() ? "" : ", ",
                            format_bytes(cells[n_fit - 1]->figures->vram_bytes), name, figure(rate(best)));
        last = name;
    }
    return fmt::format(
        "Sweet spot, the most bits per weight at no less than half the speed of the fastest that fits: {}.", list);
}

void add_model_findings(const lab::Summary & summary, const std::string & model, std::vector<Finding> & findings) {
    const auto rows = rows_of(summary, model);
    if (rows.empty()) return;
    for (const engine::Placement placement : offloading_placements(rows)) {
        const Rows same = with_placement(rows, placement);
        findings.push_back({model, reduction_finding(same, engine::to_string(placement))});
        findings.push_back({model, slowdown_finding(same, engine::to_string(placement))});
    }
    std::map<std::string, uint64_t> file_bytes;
    for (const lab::Row * row : rows)
        file_bytes[row->quantization] = row->file_size_bytes;
    std::vector<const lab::Cell *> cells;
    for (const lab::Cell * cell : cells_of(summary, model)) {
        if (file_bytes.contains(cell->quantization)) cells.push_back(cell);
    }
    findings.push_back({model, sweet_spot_finding(cells, file_bytes)});
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
    if (slowdown < 1.0) {
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
