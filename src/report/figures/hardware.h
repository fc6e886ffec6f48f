// What the measured cells need, against cards of usual sizes.
#pragma once

#include "lab/measure/summary.h"
#include "report/text/table.h"

#include <string>

namespace shimmy::report {

// The fastest measured cell of each quantization that fits.
Table hardware_table(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report
