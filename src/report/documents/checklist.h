// checklist.md: what must be seen before a model is published, ticked by result files or left open with the command
// that closes it.
#pragma once

#include "report/documents/html.h"
#include "report/documents/publication.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

std::string checklist(const lab::Summary & summary, const Quality & quality, const Publication & publication,
                      const Commands & commands);

}  // namespace shimmy::report
