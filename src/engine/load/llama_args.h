// llama.cpp's own options, as they stand behind "--" on shimmy's command line: llama.cpp's table parses them, so names,
// values and meaning are its own.
#pragma once

#include <string>
#include <vector>

namespace shimmy::engine {

enum class LlamaUse { text, server };

// Throws UsageError for an option that llama.cpp does not have, one that shimmy sets itself (naming shimmy's option),
// one that changes nothing in this use, and a value that is missing. Loads nothing, so what a value says is not looked
// at.
void check_llama_args(const std::vector<std::string> & args, LlamaUse use);

// For the word of a command line that shimmy does not know: how to say it, if llama.cpp has such an option; else empty.
std::string llama_option_hint(const std::string & flag, LlamaUse use);

}  // namespace shimmy::engine
