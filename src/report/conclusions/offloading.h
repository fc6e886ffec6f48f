// What offloading saves and costs.
#pragma once

#include "lab/measure/summary.h"
#include "report/figures/finding.h"

#include <string>
#include <vector>

namespace shimmy::report {

std::vector<engine::Placement> offloading_placements(const lab::Summary & summary, const std::string & model);

// How many times as fast the baseline decodes as the row's placement, run by run of the same prompt and repeat, with
// the 95% interval of the geometric mean.
struct Slowdown {
    std::string quantization;
    double mean = 0.0;
    double low = 0.0;
    double high = 0.0;
    bool has_interval = false;
};
// Of the rows of one placement, smallest file first.
std::vector<Slowdown> slowdowns(const lab::Summary & summary, const std::string & model, engine::Placement placement);

// A trend is named only where the interval of each quantization lies wholly on one side of the one before.
Finding slowdown_finding(const lab::Summary & summary, const std::string & model, engine::Placement placement);

// Of a model with rows: the share of VRAM that a placement saves in every quantization, and which
// quantization has the most bits at no less than half the speed of the fastest that fits.
Finding reduction_finding(const lab::Summary & summary, const std::string & model, engine::Placement placement);
Finding sweet_spot_finding(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report
