// The chart of ways to use VRAM for experts.
#pragma once

#include "engine/replay/compare.h"
#include "report/charts/chart.h"

#include <vector>

namespace shimmy::report {

// Predicted decode rate against the share of the experts that VRAM holds, a line per way.
Chart cache_chart(const std::vector<engine::CacheComparison> & rows);

}  // namespace shimmy::report
