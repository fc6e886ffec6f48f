// report.html: one page with charts that needs no network.
#pragma once

#include "lab/measure/summary.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

struct Commands {
    std::string run;      // makes the runs that are missing
    std::string experts;  // measures expert use
    std::string publish;  // puts the model on the Hub
};

std::string html_report(const lab::Summary & summary, const Quality & quality, const Commands & commands);

}  // namespace shimmy::report
