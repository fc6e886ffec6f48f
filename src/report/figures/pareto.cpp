#include "report/figures/pareto.h"

#include "base/text/units.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace shimmy::report {

namespace {

constexpr std::array COSTS{Cost::file_size, Cost::vram, Cost::speed};
constexpr double RECOMMENDED_SHARE = 0.5;  // of the fastest decode rate that fits

double decode_rate(const lab::Cell & cell) {
    return cell.figures->decode_tps.median;
}

std::optional<double> kld_of(const Quality & quality, const std::string & model, const std::string & quantization) {
    const QualityFigures * entry = quality.of(model, quantization);
    return entry == nullptr ? std::nullopt : std::optional(entry->mean_kld);
}

// Cells with runs and quality figures.
std::vector<const lab::Cell *> rated_cells(const lab::Summary & summary, const std::string & model,
                                           const Quality & quality) {
    std::vector<const lab::Cell *> cells = cells_of(summary, model);
    std::erase_if(cells, [&](const lab::Cell * cell) { return !kld_of(quality, model, cell->quantization); });
    return cells;
}

bool dominates(const QualityPoint & a, const QualityPoint & b, bool more_is_better) {
    const double a_cost = more_is_better ? -a.value : a.value;
    const double b_cost = more_is_better ? -b.value : b.value;
    return a.mean_kld <= b.mean_kld && a_cost <= b_cost && (a.mean_kld < b.mean_kld || a_cost < b_cost);
}

std::vector<QualityPoint> file_points(const lab::Summary & summary, const std::string & model,
                                      const Quality & quality) {
    std::vector<QualityPoint> points;
    for (const lab::MeasuredFile * variant : variants_of(summary, model)) {
        const auto kld = kld_of(quality, model, variant->quantization);
        if (kld && variant->file_size_bytes > 0)
            points.push_back({variant->quantization, {}, *kld, static_cast<double>(variant->file_size_bytes), false});
    }
    return points;
}

bool is_on_front(const std::vector<QualityPoint> & points, const lab::Cell & cell) {
    return std::any_of(points.begin(), points.end(), [&](const QualityPoint & point) {
        const bool same =
            point.quantization == cell.quantization && (!point.placement || *point.placement == cell.placement);
        return same && point.on_front;
    });
}

}  // namespace

const char * to_string(Cost cost) {
    switch (cost) {
        case Cost::file_size:
            return "file size";
        case Cost::vram:
            return "VRAM";
        case Cost::speed:
            return "decode rate";
    }
    return "";  // there is no other
}

std::vector<QualityPoint> quality_points(const lab::Summary & summary, const std::string & model,
                                         const Quality & quality, Cost cost) {
    std::vector<QualityPoint> points;
    if (cost == Cost::file_size) {
        points = file_points(summary, model, quality);
    } else {
        for (const lab::Cell * cell : rated_cells(summary, model, quality)) {
            const double value =
                cost == Cost::vram ? static_cast<double>(cell->figures->vram_bytes) : decode_rate(*cell);
            points.push_back(
                {cell->quantization, cell->placement, *kld_of(quality, model, cell->quantization), value, false});
        }
    }
    for (QualityPoint & point : points) {
        point.on_front = std::none_of(points.begin(), points.end(), [&](const QualityPoint & other) {
            return dominates(other, point, cost == Cost::speed);
        });
    }
    return points;
}

std::string fronts_of(const lab::Summary & summary, const std::string & model, const Quality & quality,
                      const std::string & quantization) {
    std::string names;
    for (const Cost cost : COSTS) {
        const auto points = quality_points(summary, model, quality, cost);
        const bool found = std::any_of(points.begin(), points.end(), [&](const QualityPoint & point) {
            return point.quantization == quantization && point.on_front;
        });
        if (found) names += (names.empty() ? "" : ", ") + std::string(to_string(cost));
    }
    return names;
}

namespace {

// Of the first `n_fit` cells, those that fit.
const lab::Cell * recommended(const std::vector<const lab::Cell *> & cells, size_t n_fit, const std::string & model,
                              const Quality & quality) {
    double fastest = 0.0;
    for (size_t i = 0; i < n_fit; ++i)
        fastest = std::max(fastest, decode_rate(*cells[i]));
    const auto rank = [&](const lab::Cell * cell) {
        return std::pair(*kld_of(quality, model, cell->quantization), -decode_rate(*cell));
    };
    const lab::Cell * best = nullptr;
    for (size_t i = 0; i < n_fit; ++i) {
        if (decode_rate(*cells[i]) < RECOMMENDED_SHARE * fastest) continue;
        if (best == nullptr || rank(cells[i]) < rank(best)) best = cells[i];
    }
    return best;
}

}  // namespace

std::vector<Recommendation> recommendations(const lab::Summary & summary, const std::string & model,
                                            const Quality & quality) {
    std::vector<const lab::Cell *> cells = rated_cells(summary, model, quality);
    std::stable_sort(cells.begin(), cells.end(), [](const lab::Cell * a, const lab::Cell * b) {
        return a->figures->vram_bytes < b->figures->vram_bytes;
    });
    std::vector<Recommendation> found;
    const lab::Cell * last = nullptr;
    for (size_t n_fit = 1; n_fit <= cells.size(); ++n_fit) {
        const uint64_t vram_bytes = cells[n_fit - 1]->figures->vram_bytes;
        // Cells of the same VRAM come into reach together.
        if (n_fit < cells.size() && cells[n_fit]->figures->vram_bytes == vram_bytes) continue;
        const lab::Cell * best = recommended(cells, n_fit, model, quality);
        if (best == last) continue;
        last = best;
        found.push_back({vram_bytes, best->quantization, best->placement, *kld_of(quality, model, best->quantization),
                         decode_rate(*best)});
    }
    return found;
}

Finding finding_of(const Recommendation & recommendation, const std::string & model) {
    return {model,
            "recommendation",
            {{"vram", format_bytes(recommendation.vram_bytes)},
             {"cell", recommendation.quantization + " " + engine::to_string(recommendation.placement)},
             {"mean_kld", fmt::format("{:.5f}", recommendation.mean_kld)},
             {"decode_tps", figure(recommendation.decode_tps)}}};
}

Table recommendation_table(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"free VRAM,\nat least"},
                     {"take", Align::left},
                     {"placement option", Align::left},
                     {"mean KLD"},
                     {"decode,\ntok/s"}};
    for (const Recommendation & line : recommendations(summary, model, quality)) {
        table.rows.push_back({format_bytes(line.vram_bytes), "**" + line.quantization + "**",
                              placement_option(line.placement), fmt::format("{:.5f}", line.mean_kld),
                              figure(line.decode_tps)});
    }
    return table;
}

Table pareto_table(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    using Align = Table::Align;
    Table table;
    table.columns = {{"type", Align::left},
                     {"placement", Align::left},
                     {"mean KLD"},
                     {"file"},
                     {"VRAM"},
                     {"decode,\ntok/s"},
                     {"best for its file size", Align::left},
                     {"for its VRAM", Align::left},
                     {"for its speed", Align::left}};
    std::array<std::vector<QualityPoint>, COSTS.size()> points;
    for (size_t i = 0; i < COSTS.size(); ++i)
        points[i] = quality_points(summary, model, quality, COSTS[i]);
    for (const lab::Cell * cell : rated_cells(summary, model, quality)) {
        const auto file = std::find_if(points[0].begin(), points[0].end(), [&](const QualityPoint & point) {
            return point.quantization == cell->quantization;
        });
        std::vector<std::string> line{cell->quantization,
                                      engine::to_string(cell->placement),
                                      fmt::format("{:.5f}", *kld_of(quality, model, cell->quantization)),
                                      file == points[0].end() ? "-" : format_bytes(static_cast<uint64_t>(file->value)),
                                      format_bytes(cell->figures->vram_bytes),
                                      figure(decode_rate(*cell))};
        for (const auto & of_cost : points)
            line.emplace_back(is_on_front(of_cost, *cell) ? "yes" : "");
        table.rows.push_back(std::move(line));
    }
    return table;
}

}  // namespace shimmy::report
