#include "engine/expert_use.h"

#include "ggml-backend.h"
#include "ggml-moe.h"

namespace shimmy::engine {

namespace {

// nullptr if the plugin is not loaded.
template <typename Function>
Function moe_function(const char * name) {
    ggml_backend_reg_t moe = ggml_backend_reg_by_name("MoE");
    return moe == nullptr ? nullptr : reinterpret_cast<Function>(ggml_backend_reg_get_proc_address(moe, name));
}

}  // namespace

std::optional<std::vector<ExpertUse>> expert_use() {
    const auto read = moe_function<ggml_moe_expert_stats_t>("ggml_moe_expert_stats");
    if (read == nullptr) return std::nullopt;
    std::vector<ggml_moe_expert_stat> stats(read(nullptr, 0));
    if (stats.empty()) return std::nullopt;
    read(stats.data(), stats.size());
    std::vector<ExpertUse> result;
    for (const ggml_moe_expert_stat & stat : stats)
        result.push_back({stat.layer, stat.expert, stat.hits, stat.bytes});
    return result;
}

void reset_expert_use() {
    const auto reset = moe_function<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset");
    if (reset != nullptr) reset();
}

}  // namespace shimmy::engine
