// The chart of a server under rising load.
#pragma once

#include "base/json.h"
#include "report/charts/chart.h"

namespace shimmy::report {

// Of the "sweep" part of docs/RESULTS.md: latency in ms, logarithmic, against the rate of its open loops. Without
// series if no answer of them came.
Chart sweep_chart(const Json & sweep);

}  // namespace shimmy::report
