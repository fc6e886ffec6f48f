#include "report/charts/cell_charts.h"

#include "base/text/units.h"
#include "report/figures/selection.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace shimmy::report {

namespace {

std::string two_lines(const lab::Cell & cell) {
    return cell.quantization + "\n" + short_placement(cell.placement);
}

std::string range_of(const lab::Statistics & statistics) {
    return fmt::format("{} ({}–{})", figure(statistics.median), figure(statistics.min), figure(statistics.max));
}

// [token][run]: ms since the token before; of the first, since the request.
std::vector<std::vector<double>> gaps_of(const lab::Cell & cell) {
    std::vector<std::vector<double>> gaps;
    for (const lab::Sample & sample : cell.samples) {
        if (sample.token_ms.size() > gaps.size()) gaps.resize(sample.token_ms.size());
        for (size_t i = 0; i < sample.token_ms.size(); ++i)
            gaps[i].push_back(i == 0 ? sample.token_ms[i] : sample.token_ms[i] - sample.token_ms[i - 1]);
    }
    for (std::vector<double> & token : gaps)
        std::sort(token.begin(), token.end());
    return gaps;
}

Series latency_series(const lab::Summary & summary, const lab::Cell & cell) {
    Series series{short_placement(cell.placement), Series::Form::lines, style_of(summary, cell.placement), {}, true};
    series.style.mark = Mark::none;
    const auto gaps = gaps_of(cell);
    for (size_t i = 0; i < gaps.size(); ++i) {
        const double median = lab::quantile(gaps[i], 0.5);
        series.points.push_back({static_cast<double>(i + 1),
                                 median,
                                 lab::quantile(gaps[i], 0.25),
                                 lab::quantile(gaps[i], 0.75),
                                 "",
                                 {figure(median) + " ms"}});
    }
    return series;
}

}  // namespace

Chart vram_chart(const lab::Summary & summary, const std::string & model) {
    const auto cells = cells_of(summary, model);
    const Unit unit = unit_of(cells);
    Chart chart{"vram", "VRAM by kind"};
    chart.x.scale = Axis::Scale::categories;
    chart.y.title = fmt::format("VRAM, {}", unit.name);
    if (cells.empty()) return chart;
    for (const lab::Cell * cell : cells)
        chart.x.categories.push_back(two_lines(*cell));
    const bool has_cache = std::any_of(cells.begin(), cells.end(),
                                       [](const lab::Cell * cell) { return cell->figures->expert_cache_bytes > 0; });
    size_t n_kinds = 0;
    for (const auto & [title, kind] : {std::pair{"model", &lab::Figures::model_bytes},
                                       {"KV cache", &lab::Figures::context_bytes},
                                       {"compute", &lab::Figures::compute_bytes},
                                       {"expert cache", &lab::Figures::expert_cache_bytes}}) {
        if (kind == &lab::Figures::expert_cache_bytes && !has_cache) continue;
        Series series{title, Series::Form::stack, style_of(n_kinds++)};
        for (size_t i = 0; i < cells.size(); ++i) {
            const lab::Figures & figures = *cells[i]->figures;
            ChartPoint point{static_cast<double>(i), unit.of(figures.*kind)};
            point.more = {cells[i]->name(), fmt::format("{} {}", title, format_bytes(figures.*kind)),
                          fmt::format("{} in all", format_bytes(figures.vram_bytes))};
            series.points.push_back(std::move(point));
        }
        chart.series.push_back(std::move(series));
    }
    return chart;
}

Chart speed_chart(const lab::Summary & summary, const std::string & model) {
    const auto cells = cells_of(summary, model);
    const Unit unit = unit_of(cells);
    Chart chart{"speed", "Decode rate against VRAM"};
    chart.x.title = fmt::format("VRAM, {}", unit.name);
    chart.y.title = fmt::format("decode, tokens/s{}", summary.conditions.device.software ? " (software device)" : "");
    for (const engine::Placement placement : summary.campaign.placements) {
        Series series{short_placement(placement), Series::Form::points, style_of(summary, placement)};
        for (const lab::Cell * cell : cells) {
            if (cell->placement != placement) continue;
            const lab::Figures & figures = *cell->figures;
            const lab::Statistics & rate = figures.decode_tps;
            ChartPoint point{unit.of(figures.vram_bytes), rate.median, rate.min, rate.max, cell->quantization};
            point.more = {cell->name(), format_bytes(figures.vram_bytes),
                          fmt::format("decode {} tokens/s, n = {}", range_of(rate), rate.n),
                          fmt::format("TTFT {} ms", figure(figures.ttft_ms.median))};
            series.points.push_back(std::move(point));
        }
        if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    return chart;
}

std::vector<Chart> latency_charts(const lab::Summary & summary, const std::string & model) {
    std::vector<Chart> charts;
    for (const lab::Cell * cell : cells_of(summary, model)) {
        const bool timed = std::any_of(cell->samples.begin(), cell->samples.end(),
                                       [](const lab::Sample & sample) { return !sample.token_ms.empty(); });
        if (!timed) continue;
        auto chart = std::find_if(charts.begin(), charts.end(),
                                  [&](const Chart & other) { return other.choices.front() == cell->quantization; });
        if (chart == charts.end()) {
            chart = charts.insert(charts.end(), Chart{"latency", "Latency of each token"});
            chart->choices = {cell->quantization};
            chart->x = {"token"};
            chart->x.from_zero = false;
            chart->y = {"ms", Axis::Scale::logarithmic};
        }
        chart->series.push_back(latency_series(summary, *cell));
    }
    return charts;
}

std::vector<Chart> expert_charts(const lab::Summary & summary, const std::string & model) {
    std::vector<Chart> charts;
    for (const lab::Cell & cell : summary.cells) {
        if (cell.model != model || !cell.at_base || !cell.expert_use || cell.expert_use->empty()) continue;
        std::map<int, uint64_t> hits;  // of a layer
        int n_experts = 0;
        for (const engine::ExpertUse & use : *cell.expert_use) {
            hits[use.layer] += use.hits;
            n_experts = std::max(n_experts, use.expert + 1);
        }
        Chart chart{"experts", "Expert use per layer"};
        chart.choices = {cell.name()};
        chart.x = {"expert", Axis::Scale::categories};
        chart.y = {"layer", Axis::Scale::categories};
        for (int expert = 0; expert < n_experts; ++expert)
            chart.x.categories.push_back(std::to_string(expert));
        for (const auto & [layer, ignored] : hits)
            chart.y.categories.push_back(std::to_string(layer));
        Series series{"% of choices", Series::Form::grid};
        for (const engine::ExpertUse & use : *cell.expert_use) {
            ChartPoint point{static_cast<double>(use.expert),
                             static_cast<double>(std::distance(hits.begin(), hits.find(use.layer)))};
            point.share = static_cast<double>(use.hits) / static_cast<double>(std::max<uint64_t>(1, hits[use.layer]));
            point.more = {fmt::format("layer {}, expert {}", use.layer, use.expert),
                          fmt::format("{:.1f}% of the layer's choices", 100.0 * point.share)};
            series.points.push_back(std::move(point));
        }
        chart.series = {std::move(series)};
        charts.push_back(std::move(chart));
    }
    return charts;
}

}  // namespace shimmy::report
