// Charts of the cells: memory, speed, times of tokens, use of experts.
#pragma once

#include "report/charts/chart.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Each is without series if nothing of it was measured.
Chart vram_chart(const lab::Summary & summary, const std::string & model);   // stacked by kind, a bar per cell
Chart speed_chart(const lab::Summary & summary, const std::string & model);  // decode rate against VRAM, with ranges

// Time since the token before, token by token, one chart per quantization: the median over the runs and its quartiles.
std::vector<Chart> latency_charts(const lab::Summary & summary, const std::string & model);

// Share of a layer's choices that fell on each expert, one chart per cell.
std::vector<Chart> expert_charts(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report
