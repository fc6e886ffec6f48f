// How figures and facts of a campaign read in documents.
#pragma once

#include "lab/measure/summary.h"

#include <string>

namespace shimmy::report {

// Three significant digits: more than the spread of a measurement carries.
std::string figure(double value);
std::string median_and_range(const lab::Statistics & statistics);   // "12.3\n11.9–12.8"
std::string mean_and_interval(const lab::Statistics & statistics);  // "12.3 ± 0.4", "12.3" for one sample
std::string plus_minus(double value, double error, int decimals);   // "1.3463 ± 0.0070"
std::string one_line(std::string text);                             // line breaks as spaces

// A text that people or programs wrote, for Markdown: on one line, and shown as it is. No HTML, emphasis or link with
// another text comes of it.
std::string markdown_text(const std::string & text);
std::string markdown_code(const std::string & text);  // in backticks, which the text itself loses

std::string device_line(const lab::Conditions & conditions);
std::string host_line(const lab::Conditions & conditions);
std::string mode_name(lab::Mode mode);
std::string placement_option(engine::Placement placement);  // "`--cpu-moe`", "`--n-cpu-moe 12`", "none"

}  // namespace shimmy::report
