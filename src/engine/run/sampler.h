// Internal to the engine: llama.cpp's samplers.
#pragma once

#include "engine/run/sampling_options.h"

#include "common.h"
#include "sampling.h"

namespace shimmy::engine {

// llama.cpp's own samplers in its own order, with what the user's llama_args add to them (`params`). Throws UsageError
// for settings that it refuses.
common_sampler_ptr make_sampler(const llama_model * model, common_params_sampling params,
                                const SamplingOptions & options);

}  // namespace shimmy::engine
