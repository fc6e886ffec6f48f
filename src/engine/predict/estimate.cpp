#include "engine/predict/estimate.h"

#include "base/process/interrupt.h"
#include "engine/load/load_params.h"
#include "engine/predict/companions.h"

namespace shimmy::engine {

MemoryUse estimate_memory(const LoadOptions & options) {
    const EndsWithinASecond soon;
    const LoadParams params(options, /*no_alloc=*/true);
    const llama_model_ptr model = params.load_model();
    const llama_context_ptr context = params.make_context(model.get());
    MemoryUse use = read_memory(context.get());
    add_companions(use, params, model.get(), context.get());
    return use;
}

MemoryUse companion_memory(const LoadOptions & options) {
    MemoryUse use;
    const LoadParams params(options, /*no_alloc=*/true);
    if (!has_companions(params.common())) return use;
    const llama_model_ptr model = params.load_model();
    const llama_context_ptr context = params.make_context(model.get());
    add_companions(use, params, model.get(), context.get());
    return use;
}

}  // namespace shimmy::engine
