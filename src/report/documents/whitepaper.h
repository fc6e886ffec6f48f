// whitepaper.md: environment, method, results, quality, hardware guide and limits of a campaign, as one document.
#pragma once

#include "report/documents/html.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

std::string whitepaper(const lab::Summary & summary, const Quality & quality, const Commands & commands);

}  // namespace shimmy::report
