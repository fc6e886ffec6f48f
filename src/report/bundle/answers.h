// Sample answers of a campaign, side by side.
#pragma once

#include "lab/measure/summary.h"

#include <string>

namespace shimmy::report {

// answers.md: for every model and prompt the first repeat's answer of each quantization, of the first cell that has
// one, and which other cells answered otherwise. Empty if no cell has answered.
std::string answers_document(const lab::Summary & summary);

}  // namespace shimmy::report
