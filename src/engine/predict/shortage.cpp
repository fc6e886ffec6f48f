#include "engine/predict/shortage.h"

#include "base/error.h"
#include "base/text/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::engine {

namespace {

// The plain CPU buffer type, the moe backend's, what llama.cpp says is mapped, and a GPU's memory on the host, which it
// uses for weights only in loads that do not map the file (as this estimate's).
bool is_mapped(const std::string & buffer_type) {
    return buffer_type == "CPU" || buffer_type.find("MoE") != std::string::npos || buffer_type.ends_with("_Host") ||
           buffer_type.find("Mapped") != std::string::npos;
}

constexpr uint64_t MARGIN_DIVISOR = 20;
constexpr uint64_t LEAST_MARGIN_BYTES = 512 * MIB;

}  // namespace

std::optional<Shortage> vram_shortage(const MemoryUse & use, const std::vector<Device> & devices) {
    std::optional<Shortage> worst;
    for (const Device & device : devices) {
        if (!device.is_gpu()) continue;
        const Shortage found{device.name, use.of_device(device.name).total_bytes(), device.memory_free_bytes};
        if (found.needed_bytes <= found.free_bytes) continue;
        if (!worst || found.missing_bytes() > worst->missing_bytes()) worst = found;
    }
    return worst;
}

std::optional<Shortage> ram_shortage(const MemoryUse & use, uint64_t available_bytes) {
    Shortage found{"the host", 0, available_bytes};
    for (const BufferMemory & buffer : use.buffers) {
        if (!buffer.host) continue;
        found.needed_bytes += buffer.context_bytes + buffer.compute_bytes;
        if (!is_mapped(buffer.buffer_type)) found.needed_bytes += buffer.model_bytes;
    }
    if (found.needed_bytes <= found.free_bytes) return std::nullopt;
    return found;
}

uint64_t margin_bytes(uint64_t card_bytes) {
    return std::max(LEAST_MARGIN_BYTES, card_bytes / MARGIN_DIVISOR);
}

uint64_t limit_of(const std::vector<uint64_t> & limit_bytes, size_t gpu) {
    return limit_bytes.size() == 1 ? limit_bytes.front() : limit_bytes.at(gpu);
}

std::vector<Device> usable(std::vector<Device> gpus, const std::vector<uint64_t> & limit_bytes, bool with_margin) {
    if (limit_bytes.size() > 1 && limit_bytes.size() != gpus.size())
        fail_usage("--vram has {} sizes, and the model goes to {} GPUs: give one size, or one for each",
                   limit_bytes.size(), gpus.size());
    for (size_t i = 0; i < gpus.size(); ++i) {
        uint64_t & free_bytes = gpus[i].memory_free_bytes;
        if (with_margin) free_bytes -= std::min(free_bytes, margin_bytes(gpus[i].memory_total_bytes));
        if (!limit_bytes.empty()) free_bytes = std::min(free_bytes, limit_of(limit_bytes, i));
    }
    return gpus;
}

int smallest_n_cpu_moe(int n_layers, const std::function<bool(const Placement &)> & fits) {
    int too_few = 0;
    int enough = n_layers;
    while (enough - too_few > 1) {
        const int middle = (too_few + enough) / 2;
        (fits(Placement::partial(middle)) ? enough : too_few) = middle;
    }
    return enough;
}

std::string advice(const Placement & wanted, int n_layers, bool has_experts,
                   const std::function<bool(const Placement &)> & fits) {
    if (!has_experts) return "use a smaller quantization or a smaller --ctx";
    if (wanted == Placement::offload())
        return "the experts are on the CPU already: use a smaller quantization or a smaller --ctx";
    if (!fits(Placement::offload()))
        return "even --cpu-moe would not fit: use a smaller quantization or a smaller --ctx";
    const int n = smallest_n_cpu_moe(n_layers, fits);
    return n == n_layers ? "try --cpu-moe" : fmt::format("try --n-cpu-moe {}", n);
}

}  // namespace shimmy::engine
