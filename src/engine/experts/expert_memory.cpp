#include "engine/experts/expert_memory.h"

#include "engine/device/moe_plugin.h"

#include "ggml-moe.h"

namespace shimmy::engine {

std::optional<ExpertMemory> expert_memory() {
    const auto read = moe_function<ggml_moe_memory_t>("ggml_moe_memory");
    if (read == nullptr) return std::nullopt;
    ggml_moe_memory memory{};
    read(&memory, nullptr);
    return ExpertMemory{memory.pinned_bytes, memory.mapped_bytes};
}

Json to_json(const std::optional<ExpertMemory> & memory) {
    if (!memory) return nullptr;
    return {{"pinned_bytes", memory->pinned_bytes}, {"mapped_bytes", memory->mapped_bytes}};
}

std::optional<ExpertMemory> expert_memory_from(const Json & document) {
    if (document.is_null()) return std::nullopt;
    return ExpertMemory{document.at("pinned_bytes").get<uint64_t>(), document.at("mapped_bytes").get<uint64_t>()};
}

}  // namespace shimmy::engine
