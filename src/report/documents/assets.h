// Files that are part of the program: the script and style of the report's page, and the chart library it inlines
// (scripts/fetch-page-library.sh).
#pragma once

#include <string_view>

namespace shimmy::report::assets {

std::string_view page_css();
std::string_view page_js();
std::string_view echarts_js();
std::string_view echarts_license();
std::string_view echarts_notice();
std::string_view echarts_d3_license();

}  // namespace shimmy::report::assets
