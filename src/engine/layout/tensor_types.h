// Internal to the engine: ggml's tensor types by the names that leave the engine, and overrides of types in the form
// llama.cpp's quantizer takes.
#pragma once

#include "engine/layout/tensor_override.h"

#include "ggml.h"
#include "llama.h"

#include <string>
#include <vector>

namespace shimmy::engine {

// "q4_K", "f32". Throws Error for a name that ggml does not have.
ggml_type tensor_type_named(const std::string & name);

// Points into `overrides`; ended by a null pattern.
std::vector<llama_model_tensor_override> override_list(const std::vector<TensorOverride> & overrides);

}  // namespace shimmy::engine
