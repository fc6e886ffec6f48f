#include "engine/predict/choose_placement.h"

#include "base/text/units.h"
#include "engine/predict/shortage.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::engine {

namespace {

size_t number_of_gpus(const std::vector<Device> & devices) {
    return static_cast<size_t>(
        std::count_if(devices.begin(), devices.end(), [](const Device & device) { return device.is_gpu(); }));
}

// The device that a sentence about VRAM names: the one that lacks most, else the one that is used most.
struct Need {
    std::string device;
    uint64_t needed_bytes = 0;
    uint64_t usable_bytes = 0;
};

std::optional<Need> largest_need(const MemoryUse & use, const std::vector<Device> & devices) {
    if (const auto lack = vram_shortage(use, devices)) return Need{lack->device, lack->needed_bytes, lack->free_bytes};
    std::optional<Need> largest;
    for (const Device & device : devices) {
        const uint64_t bytes = use.of_device(device.name).total_bytes();
        if (!device.is_gpu() || bytes == 0) continue;
        if (!largest || bytes > largest->needed_bytes) largest = Need{device.name, bytes, device.memory_free_bytes};
    }
    return largest;
}

// The experts that --cpu-moe leaves in RAM lie in libggml-moe's buffers, rather than in ggml's because it does not know
// their type.
bool lie_with_the_plugin(const MemoryUse & all_on_gpu, const MemoryUse & experts_on_cpu) {
    uint64_t plugin_bytes = 0;
    for (const BufferMemory & buffer : experts_on_cpu.buffers)
        plugin_bytes += buffer.buffer_type == "MoE" ? buffer.model_bytes : 0;
    const uint64_t moved_bytes = experts_on_cpu.host().model_bytes - all_on_gpu.host().model_bytes;
    return plugin_bytes > moved_bytes / 2;
}

}  // namespace

std::string to_text(const PlacementChoice & choice) {
    if (choice.reason.empty()) return "";
    const std::string name = to_text(choice.placement);
    return fmt::format("placement {}: {}; keep it with --placement {}", name, choice.reason, name);
}

std::optional<PlacementChoice> choose_placement(const PlacementQuestion & question) {
    const MemoryUse whole = question.memory(Placement::baseline());
    const std::optional<Need> need = largest_need(whole, question.devices);
    if (!need) return PlacementChoice{Placement::baseline(), ""};
    const size_t n_gpus = number_of_gpus(question.devices);
    const std::string all = n_gpus > 1 ? fmt::format("all on {} GPUs", n_gpus) : fmt::format("all on {}", need->device);
    const std::string figures = fmt::format("{}needs {}, {} usable", n_gpus > 1 ? need->device + " " : "",
                                            format_bytes(need->needed_bytes), format_bytes(need->usable_bytes));
    if (!vram_shortage(whole, question.devices))
        return PlacementChoice{Placement::baseline(), fmt::format("{} ({})", all, figures)};
    if (!question.has_experts) return std::nullopt;
    const MemoryUse least = question.memory(Placement::offload());
    if (vram_shortage(least, question.devices)) return std::nullopt;
    const bool caches = question.cache != CacheWish::none && lie_with_the_plugin(whole, least);
    const int n = smallest_n_cpu_moe(question.n_layers, [&](const Placement & placement) {
        return !vram_shortage(question.memory(placement), question.devices);
    });
    const std::string why = fmt::format("{}{} {}", all, n_gpus > 1 ? ":" : "", figures);
    if (caches && (2 * n >= question.n_layers || question.cache == CacheWish::asked))
        return PlacementChoice{Placement::offload(),
                               fmt::format("experts in RAM, copies of hot ones in VRAM ({})", why)};
    if (n == question.n_layers) return PlacementChoice{Placement::offload(), fmt::format("experts in RAM ({})", why)};
    return PlacementChoice{Placement::partial(n),
                           fmt::format("experts of the first {} of {} layers in RAM ({})", n, question.n_layers, why)};
}

}  // namespace shimmy::engine
