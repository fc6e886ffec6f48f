// Words of a command line that people know from llama.cpp, Ollama and others, and mistakes in typing.
#pragma once

#include "cli/table/options_table.h"

#include <string>
#include <vector>

namespace shimmy::cli {

// `words`, without the program's name, with options of llama.cpp in shimmy's spelling where one means the same: "-c
// 512" becomes "--ctx 512". Of commands that load a model to use it, alone. Throws UsageError for one that shimmy has
// no counterpart of, saying what to do.
std::vector<std::string> respelled(const std::vector<std::string> & words, const CommandRow & root);

// "see shimmy lab run --help": of the command that the words name.
std::string see_help(const std::vector<std::string> & words, const CommandRow & root);

// What to say about a word that was not expected: what it may have been meant to be.
std::string unexpected_word(const std::string & word, const std::vector<std::string> & words, const CommandRow & root);

}  // namespace shimmy::cli
