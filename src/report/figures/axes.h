// What the axes of a campaign change, as a table and in words.
#pragma once

#include "lab/measure/summary.h"
#include "report/figures/finding.h"
#include "report/text/table.h"

#include <string>
#include <vector>

namespace shimmy::report {

// The settings of a cell that the campaign lists as axes: "threads 4, ubatch 512"; empty if there are none.
std::string settings_text(const lab::Summary & summary, const lab::CellKey & key);

// "threads 4", of a paired design "threads 4, ubatch 512"
std::string point_text(const lab::Point & point);

// "Q4_K_M offload", with axes "Q4_K_M offload, threads 4".
std::string cell_name(const lab::Summary & summary, const lab::CellKey & key);

// "+12.3%", with the interval below it; "no clear difference" where the interval holds 0.
std::string change_text(const lab::Change & change);

// A line per value of an axis, against the axis's first, in every cell.
Table effects_table(const lab::Summary & summary, const std::string & model);

// Only what is clear: which value of which axis changes what by how much, and which effects depend on another axis.
std::vector<Finding> axis_findings(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report
