#include "report/charts/cache_chart.h"

#include "report/charts/gnuplot.h"

#include <fmt/format.h>

namespace shimmy::report {

namespace {

const char * title_of(engine::CacheKind kind) {
    switch (kind) {
        case engine::CacheKind::shimmy:
            return "cache of hot experts";
        case engine::CacheKind::lru:
            return "cache that uploads every miss (LRU)";
        case engine::CacheKind::layers:
            return "whole layers (--n-cpu-moe)";
        case engine::CacheKind::none:
            break;
    }
    return "all experts in RAM (--cpu-moe)";
}

}  // namespace

std::string cache_svg(const std::vector<engine::CacheComparison> & rows) {
    std::string data, plots;
    for (size_t i = 0; i < engine::CACHE_KINDS.size(); ++i) {
        data += fmt::format("$way{} << EOD\n", i);
        for (const engine::CacheComparison & row : rows)
            data += fmt::format("{:.3f} {:.3f}\n", 100 * row.share, row.outcomes[i].decode_tps);
        data += "EOD\n";
        plots +=
            fmt::format("{}$way{} with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor '{}' title '{}'",
                        i == 0 ? "" : ", ", i, COLORS[i], title_of(engine::CACHE_KINDS[i]));
    }
    return gnuplot(
        fmt::format("{}set xlabel 'experts in VRAM (%)'\nset ylabel 'decode, predicted (tokens/s)'\n"
                    "set yrange [0:*]\nset key bottom right\n"
                    "plot {}\n",
                    data, plots));
}

}  // namespace shimmy::report
