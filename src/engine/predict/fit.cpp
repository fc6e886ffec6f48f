#include "engine/predict/fit.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/units.h"
#include "engine/load/load_params.h"
#include "gguf/model_info.h"

#include <algorithm>
#include <optional>

namespace shimmy::engine {

namespace {

// The device that lacks the most memory, and how much.
struct Shortage {
    std::string device;
    uint64_t needed_bytes = 0;
    uint64_t free_bytes = 0;
    uint64_t missing_bytes() const { return needed_bytes - free_bytes; }
};

std::optional<Shortage> vram_shortage(const MemoryUse & use) {
    std::optional<Shortage> worst;
    for (const Device & device : devices()) {
        if (!device.is_gpu()) continue;
        const Shortage found{device.name, use.of_device(device.name).total_bytes(), device.memory_free_bytes};
        if (found.needed_bytes <= found.free_bytes) continue;
        if (!worst || found.missing_bytes() > worst->missing_bytes()) worst = found;
    }
    return worst;
}

// Weights in the plain CPU buffer type and in the moe backend's are mapped from the file: they need no RAM of their
// own, only page cache.
std::optional<Shortage> ram_shortage(const MemoryUse & use) {
    Shortage found{"the host", 0, available_ram_bytes()};
    for (const BufferMemory & buffer : use.buffers) {
        if (!buffer.host) continue;
        const bool mapped = buffer.buffer_type == "CPU" || buffer.buffer_type.find("MoE") != std::string::npos ||
                            buffer.buffer_type.find("Mapped") != std::string::npos;
        found.needed_bytes += buffer.context_bytes + buffer.compute_bytes + (mapped ? 0 : buffer.model_bytes);
    }
    if (found.needed_bytes <= found.free_bytes) return std::nullopt;
    return found;
}

// The fewest layers of experts that must stay on the CPU for the rest to fit; none if even all are not enough.
std::optional<int> smallest_n_cpu_moe(LoadOptions options, int n_layers) {
    const auto fits = [&](int n) {
        options.placement = n == n_layers ? Placement::offload() : Placement::partial(n);
        return !vram_shortage(estimate_memory(options));
    };
    if (!fits(n_layers)) return std::nullopt;
    int too_few = std::max(0, options.placement.n_cpu_moe);
    int enough = n_layers;
    while (enough - too_few > 1) {
        const int middle = (too_few + enough) / 2;
        (fits(middle) ? enough : too_few) = middle;
    }
    return enough;
}

std::string advice(const LoadOptions & options, int n_layers, bool has_experts) {
    if (!has_experts) return "use a smaller quantization or a smaller --ctx";
    if (options.placement == Placement::offload())
        return "the experts are on the CPU already: use a smaller quantization or a smaller --ctx";
    LoadOptions from_start = options;
    from_start.placement = Placement::baseline();
    const std::optional<int> n = smallest_n_cpu_moe(from_start, n_layers);
    if (!n) return "even --cpu-moe would not fit: use a smaller quantization or a smaller --ctx";
    return *n == n_layers ? "--cpu-moe would fit" : fmt::format("--n-cpu-moe {} would fit", *n);
}

}  // namespace

MemoryUse estimate_memory(const LoadOptions & options) {
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
    if (const auto shortage = vram_shortage(use)) {
        throw DoesNotFit(fmt::format("{}: needs {} on {}, which has {} free: {} too much; {}", options.path,
                                     format_bytes(shortage->needed_bytes), shortage->device,
                                     format_bytes(shortage->free_bytes), format_bytes(shortage->missing_bytes()),
                                     advice(options, n_layers, has_experts)));
    }
    if (const auto shortage = ram_shortage(use)) {
        throw DoesNotFit(fmt::format(
            "{}: needs {} of RAM besides the mapped file, and {} is available: {} too much; use a smaller --ctx",
            options.path, format_bytes(shortage->needed_bytes), format_bytes(shortage->free_bytes),
            format_bytes(shortage->missing_bytes())));
    }
}

void require_loadable(const LoadOptions & options) {
    const gguf::ModelInfo info = gguf::read_model_info(options.path);
    const bool has_experts = info.n_expert_tensors > 0;
    if (options.placement.offloads() && !has_experts) {
        fail("{}: the model has no expert tensors (architecture {}), so --cpu-moe has nothing to keep on the CPU",
             options.path, info.arch);
    }
    LoadParams(options, /*no_alloc=*/true).context_params(static_cast<uint32_t>(info.n_ctx_train));
    if (options.check_fit) require_fit(options, static_cast<int>(info.n_layers), has_experts);
}

}  // namespace shimmy::engine
