// What keeps llama.cpp from working with a file that is whole: what it answers with an assertion, with a reason that
// names no cause, or with a fault. Looked for before it is asked, so that people get a line with the way out.
#pragma once

#include "gguf/gguf_file.h"

#include <string>
#include <vector>

namespace shimmy::gguf {

// A line each, with the way out; empty for a file of which nothing is known that would not work.
std::vector<std::string> find_problems(const GgufFile & file);

// What llama.cpp works with all the same, and gives worse answers for: a line each, with the way out.
std::vector<std::string> find_weaknesses(const GgufFile & file);

// Throws Error "FILE: the first of the problems".
void require_usable(const GgufFile & file);

// False if weights lie at addresses that ggml cannot compute from when the file is mapped: it is read into memory then.
bool can_be_mapped(const GgufFile & file);

}  // namespace shimmy::gguf
