#include "report/charts/axis_charts.h"

#include "report/figures/axes.h"
#include "report/text/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace shimmy::report {

namespace {

using Effects = std::vector<const lab::AxisEffect *>;

std::string place_of(const lab::CellKey & key, lab::Mode mode, int n_clients) {
    const std::string place = key.quantization + " " + short_placement(key.placement);
    if (mode == lab::Mode::load) return fmt::format("{}, {} clients", place, n_clients);
    return mode == lab::Mode::generate ? place : fmt::format("{}, {}", place, lab::to_string(mode));
}

// "threads", of a paired design "threads and ubatch"
std::string axis_of(const lab::AxisEffect & effect) {
    std::vector<std::string> keys;
    for (const lab::Setting & setting : effect.to)
        keys.push_back(setting.key);
    return fmt::format("{}", fmt::join(keys, " and "));
}

// A figure of an effect; VRAM has no interval.
struct EffectFigure {
    const char * name;
    lab::Change lab::AxisEffect::*change;  // null: VRAM

    std::optional<lab::Change> of(const lab::AxisEffect & effect) const {
        if (change != nullptr) return (effect.*change).n == 0 ? std::nullopt : std::optional(effect.*change);
        if (!effect.vram_percent) return std::nullopt;
        return lab::Change{0, *effect.vram_percent};
    }
};
constexpr std::array EFFECT_FIGURES{EffectFigure{"decode rate", &lab::AxisEffect::decode},
                                    EffectFigure{"prefill rate", &lab::AxisEffect::prefill},
                                    EffectFigure{"TTFT", &lab::AxisEffect::ttft}, EffectFigure{"VRAM", nullptr}};

struct CurveFigure {
    const char * name;
    lab::Statistics lab::Figures::*statistics;
};
constexpr std::array CURVE_FIGURES{CurveFigure{"decode, tokens/s", &lab::Figures::decode_tps},
                                   CurveFigure{"prefill, tokens/s", &lab::Figures::prefill_tps},
                                   CurveFigure{"TTFT, ms", &lab::Figures::ttft_ms}};

Series & series_named(const std::string & title, Series::Form form, Chart & chart) {
    const auto found = std::find_if(chart.series.begin(), chart.series.end(),
                                    [&](const Series & series) { return series.title == title; });
    if (found != chart.series.end()) return *found;
    chart.series.push_back({title, form, style_of(chart.series.size())});
    return chart.series.back();
}

std::vector<std::string> lines_of(const lab::AxisEffect & effect, const std::string & place,
                                  const lab::Change & change) {
    std::vector<std::string> lines{fmt::format("{}: {}", place, point_text(effect.to)),
                                   fmt::format("against {}: {:.1f}%", point_text(effect.from), change.mean)};
    if (change.n == 0) return lines;
    if (!change.low) {
        lines.emplace_back("one pair");
        return lines;
    }
    lines.push_back(fmt::format("95% interval {:.1f} to {:.1f}%, {} pairs", *change.low, *change.high, change.n));
    if (!change.is_clear()) lines.emplace_back("no clear difference");
    return lines;
}

Chart effect_chart(const std::string & axis, const EffectFigure & figure, const Effects & effects) {
    Chart chart{"axes", "What the axes change"};
    chart.choices = {axis, figure.name};
    chart.x.scale = Axis::Scale::categories;
    chart.y = {"% against the first value"};
    chart.y.from_zero = false;
    for (const lab::AxisEffect * effect : effects) {
        const std::optional<lab::Change> change = figure.of(*effect);
        if (axis_of(*effect) != axis || !change) continue;
        const std::string value = point_text(effect->to);
        auto category = std::find(chart.x.categories.begin(), chart.x.categories.end(), value);
        if (category == chart.x.categories.end()) category = chart.x.categories.insert(category, value);
        const std::string place = place_of(*effect, effect->mode, effect->n_clients);
        ChartPoint point{static_cast<double>(category - chart.x.categories.begin()), change->mean, change->low,
                         change->high};
        point.more = lines_of(*effect, place, *change);
        series_named(place, Series::Form::bars, chart).points.push_back(std::move(point));
    }
    return chart;
}

Chart curve_chart(const lab::Summary & summary, const std::string & model, const lab::Axis & axis,
                  const CurveFigure & wanted) {
    Chart chart{"axes", "What the axes change"};
    chart.choices = {axis.key, wanted.name};
    chart.x = {axis.key, Axis::Scale::categories};
    chart.x.categories = axis.values;
    chart.y.title = wanted.name;
    const auto is_wanted = [&](const lab::Cell & cell) {
        return std::all_of(cell.point.begin(), cell.point.end(), [&](const lab::Setting & setting) {
            const lab::Axis * other = summary.campaign.axes.find(setting.key);
            return setting.key == axis.key || (other != nullptr && other->values.front() == setting.value);
        });
    };
    for (const lab::Cell & cell : summary.cells) {
        const std::string * value = lab::value_of(cell.point, axis.key);
        if (cell.model != model || !cell.figures || value == nullptr || !is_wanted(cell)) continue;
        const auto at = std::find(axis.values.begin(), axis.values.end(), *value) - axis.values.begin();
        const lab::Statistics & statistics = (*cell.figures).*wanted.statistics;
        ChartPoint point{static_cast<double>(at), statistics.mean};
        if (const std::optional<double> half = statistics.ci95_half_width()) {
            point.low = statistics.mean - *half;
            point.high = statistics.mean + *half;
        }
        const std::string place = place_of(cell, cell.mode, 0);
        point.more = {place, fmt::format("{} {}: {}", axis.key, *value, figure(statistics.mean))};
        series_named(place, Series::Form::lines, chart).points.push_back(std::move(point));
    }
    for (Series & series : chart.series)
        std::stable_sort(series.points.begin(), series.points.end(),
                         [](const ChartPoint & a, const ChartPoint & b) { return a.x < b.x; });
    return chart;
}

}  // namespace

std::vector<Chart> axis_charts(const lab::Summary & summary, const std::string & model) {
    Effects effects;
    std::vector<std::string> axes;
    for (const lab::AxisEffect & effect : summary.effects) {
        if (effect.model != model) continue;
        effects.push_back(&effect);
        if (std::find(axes.begin(), axes.end(), axis_of(effect)) == axes.end()) axes.push_back(axis_of(effect));
    }
    std::vector<Chart> charts;
    const auto add = [&](Chart chart) {
        if (!chart.series.empty()) charts.push_back(std::move(chart));
    };
    for (const std::string & name : axes) {
        for (const EffectFigure & figure : EFFECT_FIGURES)
            add(effect_chart(name, figure, effects));
        const lab::Axis * axis = summary.campaign.axes.find(name);  // a paired design has none of its own
        for (const CurveFigure & figure : CURVE_FIGURES) {
            if (axis != nullptr) add(curve_chart(summary, model, *axis, figure));
        }
    }
    return charts;
}

}  // namespace shimmy::report
