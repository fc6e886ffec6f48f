// What the figures of a campaign say, computed from them, and what in them asks for a second look.
#pragma once

#include "report/figures/finding.h"
#include "report/figures/quality.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Is the reduction the same for every quantization; which quantization and placement to take for how much VRAM; how the
// slowdown changes with the quantization; what streaming costs; what the axes change.
std::vector<Finding> find_findings(const lab::Summary & summary);

// VRAM of 0 or equal in both placements, output empty, spread above 10%, a baseline slower than offload, answers that
// differ between repeats, broken event streams, failed requests; offloading that changes what a model predicts.
std::vector<Finding> find_anomalies(const lab::Summary & summary, const Quality & quality);

}  // namespace shimmy::report
