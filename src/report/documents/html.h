// report.html: one page with charts that needs no network.
#pragma once

#include "report/documents/values.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

std::string html_report(const lab::Summary & summary, const Quality & quality, const Commands & commands,
                        const std::vector<lab::ImportedFile> & imported = {});

}  // namespace shimmy::report
