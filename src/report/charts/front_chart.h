// The chart of a Pareto front: divergence from the original against a cost.
#pragma once

#include "report/figures/pareto.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

// A script for gnuplot(): mean KL divergence, logarithmic, with the Pareto front joined and filled.
std::string front_chart(const lab::Summary & summary, const std::string & model, const Quality & quality, Cost cost);

}  // namespace shimmy::report
