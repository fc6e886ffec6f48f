#include "report/charts/http_charts.h"

#include "report/figures/axes.h"
#include "report/text/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

namespace {

bool is_at_base(const lab::Summary & summary, const lab::Point & point) {
    return std::all_of(point.begin(), point.end(), [&](const lab::Setting & setting) {
        const lab::Axis * axis = summary.campaign.axes.find(setting.key);
        return axis != nullptr && axis->values.front() == setting.value;
    });
}

// Which of the categories `name` is; a new one stands at the end.
double place_of(const std::string & name, std::vector<std::string> & categories) {
    const auto found = std::find(categories.begin(), categories.end(), name);
    if (found != categories.end()) return static_cast<double>(found - categories.begin());
    categories.push_back(name);
    return static_cast<double>(categories.size() - 1);
}

}  // namespace

Chart streaming_chart(const lab::Summary & summary, const std::string & model) {
    Chart chart{"streaming", "Streaming against not streaming"};
    chart.x.scale = Axis::Scale::categories;
    chart.y.title = "streaming against not, % of the total time";
    chart.y.from_zero = false;
    Series series{"", Series::Form::bars, style_of(0)};
    for (const lab::StreamingComparison & streaming : summary.streaming) {
        const lab::Statistics & percent = streaming.total_percent;
        if (streaming.model != model || percent.n == 0 || !is_at_base(summary, streaming.point)) continue;
        ChartPoint point{static_cast<double>(chart.x.categories.size()), percent.mean};
        chart.x.categories.push_back(streaming.quantization + "\n" + short_placement(streaming.placement));
        if (const std::optional<double> half = percent.ci95_half_width()) {
            point.low = percent.mean - *half;
            point.high = percent.mean + *half;
        }
        point.more = {streaming.name(), fmt::format("{:.1f}% of the total time, {} pairs", percent.mean, percent.n),
                      fmt::format("same text in {}", streaming.n_same_text)};
        series.points.push_back(std::move(point));
    }
    if (!series.points.empty()) chart.series = {std::move(series)};
    return chart;
}

Chart load_chart(const lab::Summary & summary, const std::string & model) {
    Chart chart{"load", "Many clients at once"};
    chart.x = {"clients", Axis::Scale::categories};
    chart.y.title = "tokens/s of all clients";
    chart.y.from_zero = false;
    for (const lab::LoadFigures & load : summary.load) {
        if (load.model != model || load.total_tps.n == 0) continue;
        const std::string title = cell_name(summary, load);
        auto series = std::find_if(chart.series.begin(), chart.series.end(),
                                   [&](const Series & other) { return other.title == title; });
        if (series == chart.series.end())
            series = chart.series.insert(series, {title, Series::Form::lines, style_of(chart.series.size())});
        ChartPoint point{place_of(std::to_string(load.n_clients), chart.x.categories), load.total_tps.mean};
        point.more = {title, fmt::format("{} client{}: {} tokens/s", load.n_clients, load.n_clients == 1 ? "" : "s",
                                         figure(load.total_tps.mean))};
        series->points.push_back(std::move(point));
    }
    return chart;
}

}  // namespace shimmy::report
