// How a model wants to be asked, as its chat template writes it.
#pragma once

#include "gguf/gguf_file.h"

#include <string>

namespace shimmy::engine {

// A conversation of a system message "{system prompt}" and a question "{prompt}", ready for the answer. Throws Error:
// no template, one that fails. One without an end ends the process after 10 s.
std::string prompt_format(const gguf::GgufFile & file);

}  // namespace shimmy::engine
