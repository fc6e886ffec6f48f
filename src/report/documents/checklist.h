// What must be seen before a model is published, as result files show it; checklist.md ticks it.
#pragma once

#include "base/json.h"
#include "report/documents/publication.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

// A model's `checks` in templates.
Json checklist_values(const lab::Summary & summary, const Quality & quality, const Publication & publication,
                      const std::string & model);

}  // namespace shimmy::report
