// Charts of what was measured through a server.
#pragma once

#include "report/charts/chart.h"

#include <string>

namespace shimmy::report {

// Each is without series if nothing of it was measured.
Chart streaming_chart(const lab::Summary & summary, const std::string & model);  // % of the total time, a bar per cell
Chart load_chart(const lab::Summary & summary, const std::string & model);       // tokens/s of all clients, by clients

}  // namespace shimmy::report
