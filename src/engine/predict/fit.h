// Does a model fit the memory of its device, and which placement would.
#pragma once

#include "base/error.h"
#include "engine/load/load_options.h"
#include "engine/predict/choose_placement.h"

namespace shimmy::engine {

// Less of it would fit, or with less else in memory.
class DoesNotFit : public Error {
public:
    using Error::Error;
};

// Throws DoesNotFit that says how much is missing on which device, and which --n-cpu-moe would fit.
void require_fit(const LoadOptions & options, int n_layers, bool has_experts);

// What loading would find out too late: throws Error for --cpu-moe without experts, a context beyond the model's and,
// with options.check_fit, what does not fit. Returns the placement to load with: options.placement, or the one that was
// chosen where that is automatic; then libggml-moe is also told how much VRAM its cache may take.
PlacementChoice require_loadable(const LoadOptions & options);

// The options with what was chosen.
LoadOptions placed(LoadOptions options, const PlacementChoice & choice);

}  // namespace shimmy::engine
