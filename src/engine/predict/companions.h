// Internal to the engine: what is loaded beside a model. llama.cpp's types.
#pragma once

#include "engine/load/load_params.h"

namespace shimmy::engine {

bool has_companions(const common_params & params);

// Adds what the user's llama_args load with the model: LoRA adapters, and for a server a draft model or a context for
// drafting, and a projector for images. Nothing is allocated. `model` and `context`: of `params`, loaded likewise.
// Throws Error where one of them cannot be read.
void add_companions(MemoryUse & use, const LoadParams & params, llama_model * model, llama_context * context);

}  // namespace shimmy::engine
