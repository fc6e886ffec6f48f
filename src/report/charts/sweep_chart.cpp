#include "report/charts/sweep_chart.h"

#include <fmt/format.h>

namespace shimmy::report {

namespace {

struct Line {
    const char * title;
    const char * key;       // of a step
    const char * quantile;  // of its distribution
};
constexpr Line LINES[]{{"TTFT, median", "ttft_ms", "p50"},
                       {"TTFT, 99%", "ttft_ms", "p99"},
                       {"E2E, median", "e2e_ms", "p50"},
                       {"E2E, 99%", "e2e_ms", "p99"}};

// A file of the chart has no title: what the sweep found stands below it.
std::string rates_title(const Json & sweep) {
    std::string title = "conversations that begin per second";
    const Json & saturated = sweep["saturated_at_rate"];
    if (!saturated.is_null())
        title += fmt::format(" (from {:.4g} on the server falls behind)", saturated.get<double>());
    return title;
}

}  // namespace

Chart sweep_chart(const Json & sweep) {
    Chart chart{"sweep", "Latency against load"};
    chart.x.title = rates_title(sweep);
    chart.y = {"ms", Axis::Scale::logarithmic};
    for (const Line & line : LINES) {
        Series series{line.title, Series::Form::lines, style_of(chart.series.size())};
        for (const Json & step : sweep["steps"]) {
            if (step["loop"] != "open" || !step[line.key].is_object()) continue;
            series.points.push_back({step["rate"].get<double>(), step[line.key][line.quantile].get<double>()});
        }
        if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    return chart;
}

}  // namespace shimmy::report
