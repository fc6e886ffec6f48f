// docs/CLI.md.
#pragma once

#include "cli/table/options_table.h"

#include <string>

namespace shimmy::cli {

// Every command with its options, defaults, choices and exit codes, as Markdown. Depends on the table alone.
std::string reference_page(const CommandRow & root);

}  // namespace shimmy::cli
