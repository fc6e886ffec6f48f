// Charts as files, drawn by gnuplot.
#pragma once

#include "report/charts/chart.h"

#include <string>

namespace shimmy::report {

enum class Picture { svg, wide_svg, png };

// The whole file that a script draws. Throws Error with gnuplot's reason, or that it is not installed.
std::string gnuplot(const std::string & script, Picture picture = Picture::svg);
std::string drawn(const Chart & chart, Picture picture = Picture::svg);  // a wide chart as a wide SVG

}  // namespace shimmy::report
