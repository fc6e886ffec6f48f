// A chart as JSON: for the page, which draws it with ECharts (src/report/page/page.js), and for programs that have
// their charts drawn as the documents' are (bench/run.py).
#pragma once

#include "base/json.h"
#include "report/charts/chart.h"

namespace shimmy::report {

// {"name", "choices", "x", "y", "series": [{"title", "form", "color", "mark", "band", "points": [{"x", "y", "low",
// "high", "label", "more", "hollow", "share"}]}], "reference", "wide"}; of a point, members that say nothing are left
// out.
Json to_json(const Chart & chart);

// Of what to_json gives; members that say nothing may be left out, a series' colour and mark too. Throws Error for what
// is no chart.
Chart chart_from(const Json & json);

}  // namespace shimmy::report
