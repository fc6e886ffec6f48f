#include "engine/experts/expert_use.h"

#include "base/error.h"
#include "engine/device/moe_plugin.h"
#include "engine/llama/llama_internal.h"
#include "gguf/expert_tensors.h"

#include "ggml-backend.h"
#include "ggml-moe.h"
#include "ggml.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace shimmy::engine {

std::optional<std::vector<ExpertUse>> expert_use() {
    const auto read = moe_function<ggml_moe_expert_stats_t>("ggml_moe_experts");
    if (read == nullptr) return std::nullopt;
    std::vector<ggml_moe_expert_stat> stats(read(nullptr, 0));
    if (stats.empty()) return std::nullopt;
    read(stats.data(), stats.size());
    std::vector<ExpertUse> result;
    for (const ggml_moe_expert_stat & stat : stats)
        result.push_back({stat.layer, stat.expert, stat.hits, stat.bytes, stat.in_vram != 0});
    return result;
}

std::vector<ExpertUse> expert_use(const llama_model * model) {
    const auto read = moe_function<ggml_moe_expert_stats_of_t>("ggml_moe_experts_of");
    if (read == nullptr) return {};
    std::set<ggml_backend_buffer_t> buffers;  // several, of a model in several files
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(model)) {
        if (gguf::is_expert_tensor(name)) buffers.insert(tensor->buffer);
    }
    std::map<std::pair<int, int>, ExpertUse> sum;  // by layer and expert
    for (ggml_backend_buffer_t buffer : buffers) {
        std::vector<ggml_moe_expert_stat> stats(read(buffer, nullptr, 0));
        stats.resize(std::min(stats.size(), read(buffer, stats.data(), stats.size())));
        for (const ggml_moe_expert_stat & stat : stats) {
            ExpertUse & use = sum[{stat.layer, stat.expert}];
            use = {stat.layer, stat.expert, use.hits + stat.hits, use.bytes + stat.bytes,
                   use.in_vram || stat.in_vram != 0};
        }
    }
    std::vector<ExpertUse> result;
    for (const auto & [key, use] : sum)
        result.push_back(use);
    return result;
}

void trace_experts(const std::string & file) {
    const auto trace = moe_function<ggml_moe_trace_t>("ggml_moe_trace");
    if (trace == nullptr) fail("libggml-moe is not loaded: there is nobody to write {}", file);
    if (!trace(file.c_str())) fail("{}: cannot be written", file);
}

void reset_expert_use() {
    const auto reset = moe_function<ggml_moe_expert_stats_reset_t>("ggml_moe_expert_stats_reset");
    if (reset != nullptr) reset();
}

}  // namespace shimmy::engine
