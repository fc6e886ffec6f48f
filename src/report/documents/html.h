// report.html: one page with charts that needs no network.
#pragma once

#include "report/values/values.h"

#include <string>

namespace shimmy::report {

// The prose is that of report.html.jinja, the charts are drawn by src/report/page/page.js.
std::string html_report(const Sources & sources, const Templates & templates);

}  // namespace shimmy::report
