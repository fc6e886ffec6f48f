// The chart of ways to use VRAM for experts.
#pragma once

#include "engine/replay/compare.h"

#include <string>
#include <vector>

namespace shimmy::report {

// A whole SVG file: predicted decode rate against the share of the experts that VRAM holds, a line per way. Throws
// Error with gnuplot's reason, or that it is not installed.
std::string cache_svg(const std::vector<engine::CacheComparison> & rows);

}  // namespace shimmy::report
