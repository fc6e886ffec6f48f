// The campaign's table for the screen and its report in Markdown.
#pragma once

#include "lab/summary.h"

#include <string>

namespace shimmy::lab {

// Table, then the conditions it holds under, then the runs that are missing. `rerun_command` is the command that
// makes the missing runs.
std::string text_report(const Summary & summary, const std::string & rerun_command);

// `report.md`: how the figures were measured, the table, the files measured, the runs that are missing.
std::string markdown_report(const Summary & summary, const std::string & rerun_command);

}  // namespace shimmy::lab
