#include "report/charts/cache_chart.h"

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

Chart cache_chart(const std::vector<engine::CacheComparison> & rows) {
    Chart chart{"cache", "Ways to use VRAM for experts"};
    chart.x.title = "experts in VRAM (%)";
    chart.y.title = "decode, predicted (tokens/s)";
    for (size_t i = 0; i < engine::CACHE_KINDS.size(); ++i) {
        Series series{title_of(engine::CACHE_KINDS[i]), Series::Form::lines, style_of(i)};
        for (const engine::CacheComparison & row : rows)
            series.points.push_back({100 * row.share, row.outcomes[i].decode_tps});
        chart.series.push_back(std::move(series));
    }
    return chart;
}

}  // namespace shimmy::report
