// Charts as files, drawn by gnuplot.
#pragma once

#include "report/charts/chart.h"

#include <string>
#include <vector>

namespace shimmy::report {

enum class Picture { svg, wide_svg, png };

struct Drawing {
    std::string script;
    Picture picture = Picture::svg;
};

Drawing drawing_of(const Chart & chart, Picture picture = Picture::svg);  // a wide chart as a wide SVG

// The whole files that the scripts draw; PNGs by one run of gnuplot, which takes longer to start for them than to draw
// a few. Throws Error with gnuplot's reason, or that it is not installed.
std::vector<std::string> gnuplot(const std::vector<Drawing> & drawings);

std::string drawn(const Chart & chart);  // one, as an SVG

}  // namespace shimmy::report
