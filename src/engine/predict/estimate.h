// What a model would take, from a load that allocates nothing.
#pragma once

#include "engine/load/load_options.h"
#include "engine/load/memory.h"

namespace shimmy::engine {

// With these options, and with what is loaded beside the model. Exact for the devices that are present.
MemoryUse estimate_memory(const LoadOptions & options);

// Of that only what is beside it: LoRA adapters, a draft model, a projector. llama.cpp does not count it with the
// model. Empty for most.
MemoryUse companion_memory(const LoadOptions & options);

}  // namespace shimmy::engine
