// Does a model fit the memory of its device, and which placement would.
#pragma once

#include "base/error.h"
#include "engine/load/load_options.h"
#include "engine/predict/choose_placement.h"

#include <functional>

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

// Loads with the placement that require_loadable() returns, and returns it. Where it was chosen, and loading failed
// though it fits, another program may have taken memory meanwhile: then it is chosen once more, with what is free now,
// and loaded if it is another one. `load` may be called again after it threw.
PlacementChoice load_placed(const LoadOptions & options, const std::function<void(const PlacementChoice &)> & load);

// The options with what was chosen.
LoadOptions placed(LoadOptions options, const PlacementChoice & choice);

}  // namespace shimmy::engine
