// What the figures say, in words: the sentences of templates/sentences.txt.jinja.
#pragma once

#include "report/figures/finding.h"
#include "report/template/templates.h"

#include <string>
#include <vector>

namespace shimmy::report {

// A line of plain text for each. Throws Error for a template that has not exactly one line for one of them.
std::vector<std::string> sentences(const Templates & templates, const std::vector<Finding> & findings);

}  // namespace shimmy::report
