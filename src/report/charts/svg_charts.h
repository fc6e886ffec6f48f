// Charts as SVG, drawn by gnuplot, for Markdown documents.
#pragma once

#include "lab/measure/summary.h"

#include <string>

namespace shimmy::report {

// Each is a whole SVG file. Throws Error with gnuplot's reason, or that it is not installed.
std::string vram_svg(const lab::Summary & summary, const std::string & model);  // stacked by kind, a bar per cell
std::string speed_svg(const lab::Summary & summary,
                      const std::string & model);  // decode rate against VRAM, with ranges

}  // namespace shimmy::report
