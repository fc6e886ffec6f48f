// The layers of a model shared out to the GPUs in use, as full as one another.
#pragma once

#include "engine/device/device.h"
#include "engine/load/load_options.h"

#include <vector>

namespace shimmy::engine {

// The options with layers_of_gpu set, where there are several GPUs and the user's llama_args do not share the layers
// out; else as they are. `gpus`: those in use (gpus_in_use), with what may be used as their free memory. Weights,
// context and compute buffers count: llama.cpp's own shares are numbers of layers, of which those whose experts are in
// RAM are small.
LoadOptions with_shared_layers(LoadOptions options, const std::vector<Device> & gpus);

}  // namespace shimmy::engine
