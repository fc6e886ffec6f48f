// Internal to the engine: ggml's tensor types by the names that leave the engine.
#pragma once

#include "ggml.h"

#include <string>

namespace shimmy::engine {

// "q4_K", "f32". Throws Error for a name that ggml does not have.
ggml_type tensor_type_named(const std::string & name);

}  // namespace shimmy::engine
