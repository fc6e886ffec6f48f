// whitepaper.md: environment, method, results, quality, hardware guide and limits of a campaign, as one document.
#pragma once

#include "report/documents/html.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

std::string whitepaper(const lab::Summary & summary, const Quality & quality, const Commands & commands);

// What the measured cells need, against cards of usual sizes: the fastest measured cell of each quantization that fits.
std::string hardware_table(const lab::Summary & summary, const std::string & model);

}  // namespace shimmy::report
