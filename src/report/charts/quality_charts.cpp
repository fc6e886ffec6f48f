#include "report/charts/quality_charts.h"

#include "base/text/units.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace shimmy::report {

namespace {

// The axis of divergences is logarithmic, as a coarse type's is hundreds of times a fine one's. The base itself, at 0,
// is drawn below the lowest decade. With nothing but the base the axis is linear.
Axis divergence_axis(const std::vector<double> & klds) {
    double least = 0.0;
    double most = 0.0;
    for (const double kld : klds) {
        most = std::max(most, kld);
        if (kld > 0.0 && (least == 0.0 || kld < least)) least = kld;
    }
    Axis axis{"mean KL divergence from the original"};
    if (least == 0.0) {
        axis.top = 1.0;
        return axis;
    }
    axis.scale = Axis::Scale::logarithmic;
    axis.zero_at = std::pow(10.0, std::floor(std::log10(least)) - 0.6);
    axis.top = std::pow(10.0, std::ceil(std::log10(1.5 * most)));  // with room for the label of the largest
    return axis;
}

ChartPoint point_at(const Axis & axis, double x, double kld, double error) {
    const auto at = [&](double value) { return std::max(value, axis.zero_at.value_or(value)); };
    return {x, at(kld), at(kld - error), at(kld + error)};
}

// Some are of no placement: the costs of files.
Series series_of(const lab::Summary & summary, const std::optional<engine::Placement> & placement) {
    if (placement) return {short_placement(*placement), Series::Form::points, style_of(summary, *placement)};
    return {"", Series::Form::points, style_of(0)};
}

}  // namespace

Chart quality_chart(const std::string & model, const Quality & quality) {
    Chart chart{"quality", "Quality"};
    const ModelQuality * measured = quality.of(model);
    if (measured == nullptr) return chart;
    std::vector<QualityFigures> files = measured->files;
    std::stable_sort(files.begin(), files.end(), [](const QualityFigures & a, const QualityFigures & b) {
        return a.bits_per_weight < b.bits_per_weight;
    });
    std::vector<double> klds;
    for (const QualityFigures & file : files)
        klds.push_back(file.mean_kld);
    chart.x.title = "bits per weight";
    chart.y = divergence_axis(klds);
    chart.shows_quality = true;
    Series series{"", Series::Form::lines, style_of(0)};
    for (const QualityFigures & file : files) {
        ChartPoint point = point_at(chart.y, file.bits_per_weight, file.mean_kld, file.mean_kld_error);
        point.label = file.quantization;
        point.more = {file.quantization, "perplexity " + plus_minus(file.ppl, file.ppl_error, 4),
                      "mean KLD " + plus_minus(file.mean_kld, file.mean_kld_error, 5),
                      fmt::format("same top token {:.2f}%", file.same_top_percent)};
        series.points.push_back(std::move(point));
    }
    chart.series = {std::move(series)};
    return chart;
}

Chart front_chart(const lab::Summary & summary, const std::string & model, const Quality & quality, Cost cost) {
    std::vector<QualityPoint> points = quality_points(summary, model, quality, cost);
    std::sort(points.begin(), points.end(),
              [](const QualityPoint & a, const QualityPoint & b) { return a.value < b.value; });
    const bool is_speed = cost == Cost::speed;
    const Unit unit = is_speed || points.empty() ? Unit{1.0, ""} : unit_of(points.back().value);
    std::vector<double> klds;
    for (const QualityPoint & point : points)
        klds.push_back(point.mean_kld);
    Chart chart{cost == Cost::file_size ? "quality"
                : cost == Cost::vram    ? "quality-vram"
                                        : "quality-speed",
                fmt::format("Divergence against {}", to_string(cost))};
    chart.choices = {to_string(cost)};
    chart.shows_quality = true;
    chart.x.title = is_speed ? fmt::format("decode rate, tokens/s{}",
                                           summary.conditions.device.software ? " (software device)" : "")
                             : fmt::format("{}, {}", to_string(cost), unit.name);
    chart.y = divergence_axis(klds);
    if (points.empty()) return chart;
    Series front{"Pareto front", Series::Form::lines};
    std::vector<std::pair<std::optional<engine::Placement>, Series>> groups;
    for (const QualityPoint & point : points) {
        const double error = quality.of(model, point.quantization)->mean_kld_error;
        ChartPoint drawn = point_at(chart.y, point.value / unit.bytes, point.mean_kld, error);
        if (point.on_front) front.points.push_back({drawn.x, drawn.y});
        drawn.label = point.quantization;
        drawn.hollow = !point.on_front;
        drawn.more = {point.placement ? point.quantization + " " + point.placement_text() : point.quantization,
                      fmt::format("mean KLD {:.5f}", point.mean_kld),
                      is_speed ? figure(point.value) + " tokens/s" : format_bytes(static_cast<uint64_t>(point.value))};
        if (point.on_front) drawn.more.emplace_back("on the Pareto front");
        auto group = std::find_if(groups.begin(), groups.end(),
                                  [&](const auto & other) { return other.first == point.placement; });
        if (group == groups.end()) {
            groups.emplace_back(point.placement, series_of(summary, point.placement));
            group = std::prev(groups.end());
        }
        group->second.points.push_back(std::move(drawn));
    }
    chart.series.push_back(std::move(front));
    for (auto & [placement, series] : groups)
        chart.series.push_back(std::move(series));
    return chart;
}

}  // namespace shimmy::report
