#include "report/charts/chart_files.h"

#include "report/charts/cell_charts.h"
#include "report/charts/front_chart.h"
#include "report/figures/selection.h"

namespace shimmy::report {

std::vector<Chart> charts_of(const lab::Summary & summary, const std::string & model, const Quality & quality) {
    std::vector<Chart> charts;
    if (cells_of(summary, model).empty()) return charts;
    const std::string folder = "charts/" + model + "/";
    charts.push_back({"VRAM by kind", folder + "vram", vram_chart(summary, model)});
    charts.push_back({"Decode rate against VRAM", folder + "speed", speed_chart(summary, model)});
    for (const auto & [cost, title, name] : {std::tuple{Cost::file_size, "Divergence against file size", "quality"},
                                             {Cost::vram, "Divergence against VRAM", "quality-vram"},
                                             {Cost::speed, "Divergence against decode rate", "quality-speed"}}) {
        if (!quality_points(summary, model, quality, cost).empty())
            charts.push_back({title, folder + name, front_chart(summary, model, quality, cost), true});
    }
    return charts;
}

}  // namespace shimmy::report
