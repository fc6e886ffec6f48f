// What of a summary a table or a chart is made of.
#pragma once

#include "lab/measure/summary.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Cells with figures, of the mode that tables are of, of one model in the summary's order: `figures` is there. Of a
// campaign with axes, those at the first value of each; so are the rows.
std::vector<const lab::Cell *> cells_of(const lab::Summary & summary, const std::string & model);
std::vector<const lab::Row *> rows_of(const lab::Summary & summary, const std::string & model);
std::vector<const lab::MeasuredFile *> variants_of(const lab::Summary & summary, const std::string & model);

// Standard deviation over mean of the samples divided by their prompt's median, so that prompts of different length are
// no spread; 0 for fewer than two samples of any prompt.
double spread_of(const lab::Cell & cell, double lab::Sample::*figure);

}  // namespace shimmy::report
