#include "report/charts/model_charts.h"

#include "report/charts/axis_charts.h"
#include "report/charts/cell_charts.h"
#include "report/charts/http_charts.h"
#include "report/charts/quality_charts.h"

namespace shimmy::report {

namespace {

// Only those with something to show.
class Charts {
public:
    void add(Chart chart) {
        if (!chart.series.empty()) list.push_back(std::move(chart));
    }
    void add(std::vector<Chart> charts) {
        for (Chart & chart : charts)
            add(std::move(chart));
    }

    std::vector<Chart> list;
};

std::vector<Chart> front_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    std::vector<Chart> charts;
    for (const Cost cost : {Cost::file_size, Cost::vram, Cost::speed})
        charts.push_back(front_chart(summary, model, quality, cost));
    return charts;
}

}  // namespace

std::vector<Chart> file_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Charts charts;
    charts.add(vram_chart(summary, model));
    charts.add(speed_chart(summary, model));
    if (!charts.list.empty()) charts.add(front_charts(summary, model, quality));
    return charts.list;
}

std::vector<Chart> page_charts(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    Charts charts;
    charts.add(axis_charts(summary, model));
    charts.add(vram_chart(summary, model));
    charts.add(speed_chart(summary, model));
    charts.add(latency_charts(summary, model));
    charts.add(streaming_chart(summary, model));
    charts.add(load_chart(summary, model));
    charts.add(quality_chart(model, quality));
    std::vector<Chart> fronts = front_charts(summary, model, quality);
    for (Chart & front : fronts)
        front.name = "front";
    charts.add(std::move(fronts));
    charts.add(expert_charts(summary, model));
    return charts.list;
}

}  // namespace shimmy::report
