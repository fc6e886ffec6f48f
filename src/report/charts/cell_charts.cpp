#include "report/charts/cell_charts.h"

#include "report/charts/gnuplot.h"
#include "report/figures/selection.h"

#include <fmt/format.h>

namespace shimmy::report {

std::string vram_chart(const lab::Summary & summary, const std::string & model) {
    const auto cells = cells_of(summary, model);
    const Unit unit = unit_of(cells);
    std::string data;
    for (const lab::Cell * cell : cells) {
        data += fmt::format("\"{}\\n{}\" {:.4f} {:.4f} {:.4f}\n", cell->quantization, short_placement(cell->placement),
                            unit.of(cell->figures->model_bytes), unit.of(cell->figures->context_bytes),
                            unit.of(cell->figures->compute_bytes));
    }
    return fmt::format(
        "$data << EOD\n{}EOD\nset style data histograms\nset style histogram rowstacked\n"
        "set boxwidth 0.7\nset yrange [0:*]\nset ylabel \"VRAM, {}\"\nset key outside top center horizontal\n"
        "set xtics font \",10\"\nset bmargin 3.5\n"
        "plot $data using 2:xtic(1) title \"model\" lc rgb \"#0072b2\", "
        "'' using 3 title \"KV cache\" lc rgb \"#e69f00\", "
        "'' using 4 title \"compute\" lc rgb \"#009e73\"\n",
        data, unit.name);
}

std::string speed_chart(const lab::Summary & summary, const std::string & model) {
    const auto cells = cells_of(summary, model);
    const Unit unit = unit_of(cells);
    std::string blocks;
    std::string plots;
    const std::vector<engine::Placement> & placements = summary.campaign.placements;
    for (size_t i = 0; i < placements.size(); ++i) {
        std::string data;
        for (const lab::Cell * cell : cells) {
            if (cell->placement != placements[i]) continue;
            const lab::Statistics & rate = cell->figures->decode_tps;
            data += fmt::format("{:.4f} {:.4f} {:.4f} {:.4f} \"{}\"\n", unit.of(cell->figures->vram_bytes), rate.median,
                                rate.min, rate.max, cell->quantization);
        }
        if (data.empty()) continue;
        blocks += fmt::format("$data{} << EOD\n{}EOD\n", i, data);
        plots += fmt::format(
            "{}$data{} using 1:2:3:4 with yerrorbars pt {} ps 1.2 lw 1.5 lc rgb \"{}\" title \"{}\", "
            "$data{} using 1:2:5 with labels offset 0.8,0.6 left font \",10\" notitle",
            plots.empty() ? "" : ", ", i, 5 + 2 * (i % 4), COLORS[i % COLORS.size()], short_placement(placements[i]),
            i);
    }
    return fmt::format(
        "{}set xrange [0:*]\nset yrange [0:*]\nset offsets graph 0, graph 0.08, graph 0.05, 0\n"
        "set xlabel \"VRAM, {}\"\n"
        "set ylabel \"decode, tokens/s{}\"\nset key outside top center horizontal\nplot {}\n",
        blocks, unit.name, summary.conditions.device.software ? " (software device)" : "", plots);
}

}  // namespace shimmy::report
