// --templates, of the commands that write documents.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace shimmy::cli {

void add_templates_option(CLI::App & command, std::string & dir);

}  // namespace shimmy::cli
