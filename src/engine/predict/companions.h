// What is loaded beside a model: LoRA adapters, a draft model, a projector.
#pragma once

#include "engine/load/load_options.h"
#include "engine/load/memory.h"

namespace shimmy::engine {

// The memory they take, which llama.cpp does not count with the model. Empty for most.
MemoryUse companion_memory(const LoadOptions & options);

}  // namespace shimmy::engine
