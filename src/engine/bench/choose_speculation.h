// Whether a server speculates, where that is to be measured (--spec auto).
#pragma once

#include "engine/load/load_options.h"

#include <string>

namespace shimmy::engine {

// Loads the model, lets it write an answer to a built-in text with and without speculation, and frees it. Then `load`
// says what was faster. Returns a line for people; empty where nothing was to be measured. Throws what loading throws.
std::string choose_speculation(LoadOptions & load);

}  // namespace shimmy::engine
