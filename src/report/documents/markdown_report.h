// report.md: the figures of a campaign with the conditions they hold under, and what they say.
#pragma once

#include "report/documents/html.h"
#include "report/figures/quality.h"

#include <string>

namespace shimmy::report {

std::string markdown_report(const lab::Summary & summary, const Quality & quality, const Commands & commands);

// Pieces that the white paper shares. Each ends with a line break.
std::string environment_section(const lab::Summary & summary);
std::string results_section(const lab::Summary & summary, const std::string & model, int heading_level);
std::string quality_section(const lab::Summary & summary, const std::string & model, const Quality & quality);
std::string findings_section(const lab::Summary & summary, const Quality & quality);
std::string missing_section(const lab::Summary & summary, const Commands & commands);
std::string definitions_section();

}  // namespace shimmy::report
