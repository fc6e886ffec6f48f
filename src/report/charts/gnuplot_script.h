// A chart in gnuplot's language.
#pragma once

#include "report/charts/chart.h"

#include <string>

namespace shimmy::report {

// For gnuplot().
std::string gnuplot_script(const Chart & chart);

}  // namespace shimmy::report
