// Charts of the cells: memory and speed.
#pragma once

#include "lab/measure/summary.h"

#include <string>

namespace shimmy::report {

// Each is a script for gnuplot().
std::string vram_chart(const lab::Summary & summary, const std::string & model);  // stacked by kind, a bar per cell
std::string speed_chart(const lab::Summary & summary,
                        const std::string & model);  // decode rate against VRAM, with ranges

}  // namespace shimmy::report
