// All charts of a model.
#pragma once

#include "report/charts/chart.h"
#include "report/figures/quality.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Those of model cards: memory, speed, and quality against its costs; only those that have something to show.
std::vector<Chart> card_charts(const lab::Summary & summary, const std::string & model, const Quality & quality);

// A chart with the file that it is drawn into, and what it is made of.
struct FileChart {
    Chart chart;
    std::string file;     // "axes-threads-decode-rate", without its ending; unique among a model's
    std::string title;    // with its choices: "What the axes change: threads, decode rate"
    const char * place;   // "cells" of those of the cards, or the chart's name
    const char * source;  // whose result files it shows, as templates name them: "base", "cells", "load", …
};

// All charts of a model, as files for the documents and for bundles: those of the cards first.
std::vector<FileChart> file_charts(const lab::Summary & summary, const std::string & model, const Quality & quality);

// Those of the page, in its order. Several may have one name: then `choices` tell them apart.
std::vector<Chart> page_charts(const lab::Summary & summary, const std::string & model, const Quality & quality);

}  // namespace shimmy::report
