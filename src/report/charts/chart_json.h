// A chart as JSON, for the page that draws it with ECharts (src/report/page/page.js).
#pragma once

#include "base/json.h"
#include "report/charts/chart.h"

namespace shimmy::report {

// {"name", "choices", "x", "y", "series": [{"title", "form", "color", "mark", "band", "points": [{"x", "y", "low",
// "high", "label", "more", "hollow", "share"}]}]}; of a point, members that say nothing are left out.
Json to_json(const Chart & chart);

}  // namespace shimmy::report
