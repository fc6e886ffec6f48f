// What the models of a campaign score on standard tasks.
#pragma once

#include "lab/measure/summary.h"
#include "report/figures/finding.h"
#include "report/text/table.h"

#include <string>
#include <vector>

namespace shimmy::report {

// A line per task and quantization: every score with its 95% interval, and against the reference the difference with
// its own.
Table task_table(const lab::Summary & summary, const std::string & model);

// Of every task, which quantizations score clearly otherwise than the reference: those whose interval does not hold 0.
std::vector<Finding> task_findings(const lab::Summary & summary, const std::string & model);

// "-3.1 points [-5.0, -1.2]"
std::string points_text(const lab::TaskComparison & comparison);

}  // namespace shimmy::report
