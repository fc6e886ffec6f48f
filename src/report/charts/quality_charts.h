// Charts of quality: divergence from the original against the size of a type, and against what it costs.
#pragma once

#include "report/charts/chart.h"
#include "report/figures/pareto.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

// Mean KL divergence, logarithmic, against bits per weight. Without series if it was not measured.
Chart quality_chart(const std::string & model, const Quality & quality);

// The same against a cost, with the Pareto front joined and filled.
Chart front_chart(const lab::Summary & summary, const std::string & model, const Quality & quality, Cost cost);

}  // namespace shimmy::report
