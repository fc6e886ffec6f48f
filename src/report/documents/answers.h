// Sample answers of a campaign, side by side.
#pragma once

#include "lab/measure/summary.h"

#include <string>

namespace shimmy::report {

// answers.md: for every model and prompt why it was chosen, and the first repeat's answer of each quantization, which
// cells gave it, and what checks say of it: whether it holds what is expected, shows signs of a broken model
// (check/degeneration.h), and is the same in every repeat. Empty if no cell has answered.
std::string answers_document(const lab::Summary & summary);

}  // namespace shimmy::report
