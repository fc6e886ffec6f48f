// Internal to the engine: tensor overrides in the form llama.cpp's quantizer takes.
#pragma once

#include "engine/predict/tensor_override.h"

#include "llama.h"

#include <vector>

namespace shimmy::engine {

// Points into `overrides`; ended by a null pattern.
std::vector<llama_model_tensor_override> override_list(const std::vector<TensorOverride> & overrides);

}  // namespace shimmy::engine
