// The charts of a campaign as files, for the white paper and for bundles.
#pragma once

#include "report/charts/gnuplot.h"
#include "report/figures/quality.h"

#include <string>
#include <vector>

namespace shimmy::report {

struct Chart {
    std::string title;
    std::string file;  // without its extension, relative to the campaign's folder: "charts/alpha/vram"
    std::string script;
    bool shows_quality = false;
};

// Of one model, those that have something to show.
std::vector<Chart> charts_of(const lab::Summary & summary, const std::string & model, const Quality & quality);

}  // namespace shimmy::report
