// All charts of a model.
#pragma once

#include "report/charts/chart.h"
#include "report/figures/quality.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Those that are files too, for the white paper, cards and bundles: memory, speed, and quality against its costs; only
// those that have something to show.
std::vector<Chart> file_charts(const lab::Summary & summary, const std::string & model, const Quality & quality);

// Those of the page, in its order. Several may have one name: then `choices` tell them apart.
std::vector<Chart> page_charts(const lab::Summary & summary, const std::string & model, const Quality & quality);

}  // namespace shimmy::report
