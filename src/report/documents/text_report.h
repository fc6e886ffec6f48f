// The campaign's table for the screen.
#pragma once

#include "lab/measure/summary.h"

#include <string>

namespace shimmy::report {

// A table per model, then the conditions it holds under, then the runs that are missing. `rerun_command` is the command
// that makes the missing runs.
std::string text_report(const lab::Summary & summary, const std::string & rerun_command);

}  // namespace shimmy::report
