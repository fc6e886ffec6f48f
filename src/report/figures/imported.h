// Figures that another program measured, beside those of the same model files.
#pragma once

#include "lab/import/llama_bench.h"
#include "lab/measure/summary.h"
#include "report/text/table.h"

#include <vector>

namespace shimmy::report {

// A line per imported test, marked by the program that made it; before them what the campaign measured of the same
// files (by name), at the base. No rows if nothing was imported.
Table imported_table(const lab::Summary & summary, const std::vector<lab::ImportedFile> & imported);

// The imported tests alone, for the terminal.
Table imported_table(const lab::ImportedFile & imported);

}  // namespace shimmy::report
