#include "engine/predict/fit.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/process/interrupt.h"
#include "base/units.h"
#include "engine/load/load_params.h"
#include "engine/predict/shortage.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"

namespace shimmy::engine {

MemoryUse estimate_memory(const LoadOptions & options) {
    const EndsWithinASecond soon;
    const LoadParams params(options, /*no_alloc=*/true);
    const llama_model_ptr model = params.load_model();
    const llama_context_ptr context = params.make_context(model.get());
    return read_memory(context.get());
}

uint32_t context_size(const LoadOptions & options, uint32_t n_ctx_trained) {
    return LoadParams(options, /*no_alloc=*/true).context_params(n_ctx_trained).n_ctx;
}

void require_fit(const LoadOptions & options, int n_layers, bool has_experts) {
    const MemoryUse use = estimate_memory(options);
    if (const auto shortage = vram_shortage(use, devices())) {
        const auto fits = [&](const Placement & placement) {
            LoadOptions other = options;
            other.placement = placement;
            return !vram_shortage(estimate_memory(other), devices());
        };
        throw DoesNotFit(fmt::format("{}: needs {} on {}, which has {} free, {} short; {}", options.shown_name(),
                                     format_bytes(shortage->needed_bytes), shortage->device,
                                     format_bytes(shortage->free_bytes), format_bytes(shortage->missing_bytes()),
                                     advice(options.placement, n_layers, has_experts, fits)));
    }
    if (const auto shortage = ram_shortage(use, available_ram_bytes())) {
        throw DoesNotFit(fmt::format(
            "{}: needs {} of RAM besides the mapped file, and {} is available, {} short; use a smaller --ctx",
            options.shown_name(), format_bytes(shortage->needed_bytes), format_bytes(shortage->free_bytes),
            format_bytes(shortage->missing_bytes())));
    }
}

void require_loadable(const LoadOptions & options) {
    const gguf::GgufFile file(options.path);
    gguf::require_usable(file);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    const bool has_experts = info.n_expert_tensors > 0;
    if (options.placement.offloads() && !has_experts) {
        fail("{}: the model has no expert tensors (architecture {}), so --cpu-moe has nothing to keep on the CPU",
             options.shown_name(), info.arch);
    }
    LoadParams(options, /*no_alloc=*/true).context_params(static_cast<uint32_t>(info.n_ctx_train));
    if (options.check_fit) require_fit(options, static_cast<int>(info.n_layers), has_experts);
}

}  // namespace shimmy::engine
