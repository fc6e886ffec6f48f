// Shell completion scripts made from the options table.
#pragma once

#include "cli/options_table.h"

#include <string>

namespace shimmy::cli {

// Scripts for a program called `shimmy`. They complete commands, options, choices, files and folders, and ask the
// program for the names of models.
std::string bash_completion(const CommandRow & root);
std::string zsh_completion(const CommandRow & root);
std::string fish_completion(const CommandRow & root);

// 'text' in single quotes for a POSIX shell: quotes inside become '\''.
std::string shell_quoted(const std::string & text);

}  // namespace shimmy::cli
