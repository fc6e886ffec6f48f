// Internal to the engine and to what hosts llama.cpp's server: llama.cpp's own options applied to its parameters.
#pragma once

#include "common.h"

#include <string>
#include <vector>

namespace shimmy::engine {

// Values too. Call once devices are loaded, since some options name them. Throws UsageError.
void apply_llama_args(const std::vector<std::string> & args, common_params & params);

}  // namespace shimmy::engine
