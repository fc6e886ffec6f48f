// Command lines that a command's --help ends with.
#pragma once

#include <CLI/CLI.hpp>

namespace shimmy::cli {

// Adds them to what stands at the end of each command's help; a command that has some of its own keeps those.
void add_examples(CLI::App & app);

}  // namespace shimmy::cli
