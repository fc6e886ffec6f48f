#include "report/charts/chart.h"

#include "base/text/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::report {

Style style_of(size_t index) {
    constexpr std::array MARKS{Mark::circle, Mark::square, Mark::triangle, Mark::diamond};
    return {COLORS[index % COLORS.size()], MARKS[index % MARKS.size()]};
}

Style style_of(const lab::Summary & summary, const engine::Placement & placement) {
    const std::vector<engine::Placement> & all = summary.campaign.placements;
    return style_of(static_cast<size_t>(std::find(all.begin(), all.end(), placement) - all.begin()));
}

Unit unit_of(double most_bytes) {
    return most_bytes >= GIB ? Unit{static_cast<double>(GIB), "GiB"} : Unit{static_cast<double>(MIB), "MiB"};
}

Unit unit_of(const std::vector<const lab::Cell *> & cells) {
    double most = 0.0;
    for (const lab::Cell * cell : cells)
        most = std::max(most, static_cast<double>(cell->figures->vram_bytes));
    return unit_of(most);
}

std::string short_placement(engine::Placement placement) {
    return placement.n_cpu_moe > 0 ? fmt::format("N={}", placement.n_cpu_moe) : engine::to_string(placement);
}

}  // namespace shimmy::report
