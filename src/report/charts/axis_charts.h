// Charts of what the axes of a campaign change.
#pragma once

#include "report/charts/chart.h"

#include <string>
#include <vector>

namespace shimmy::report {

// One per axis and figure: the change against the axis's first value with its interval, a bar per value and cell; and
// the figure itself over the values of the axis, the other axes at their first. Empty for a campaign without axes.
std::vector<Chart> axis_charts(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report
