// The experts of a model's first layers as a pattern of tensor names, for llama.cpp's overrides.
#pragma once

#include <string>

namespace shimmy::engine {

// Of the layers 0 to n_layers - 1; n_layers at least 1. One pattern instead of one for each layer, as llama.cpp's own
// option makes them: llama.cpp compiles every pattern anew for every tensor, which for 94 layers takes longer than all
// else of a load.
std::string experts_below(int n_layers);

}  // namespace shimmy::engine
