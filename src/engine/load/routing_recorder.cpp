#include "engine/load/routing_recorder.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace shimmy::engine {

namespace {

// "ffn_moe_topk-12" -> 12: the name that llama.cpp gives the chosen experts in every architecture.
std::optional<int> routed_layer(const ggml_tensor * tensor) {
    constexpr std::string_view PREFIX = "ffn_moe_topk-";
    const std::string_view name = tensor->name;
    if (!name.starts_with(PREFIX) || tensor->type != GGML_TYPE_I32) return std::nullopt;
    int layer = 0;
    const auto [end, error] = std::from_chars(name.data() + PREFIX.size(), name.data() + name.size(), layer);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    return layer;
}

}  // namespace

bool RoutingRecorder::on_tensor(ggml_tensor * tensor, bool ask, void * self) {
    const std::optional<int> layer = routed_layer(tensor);
    if (ask) return layer.has_value();
    if (layer) static_cast<RoutingRecorder *>(self)->record(tensor, *layer);
    return true;  // go on
}

// `chosen`: n_used x n_tokens ids. Usually a view into a wider sorted row, so strides count.
void RoutingRecorder::record(const ggml_tensor * chosen, int layer) {
    std::vector<char> bytes(ggml_nbytes(chosen));
    ggml_backend_tensor_get(chosen, bytes.data(), 0, bytes.size());
    LayerRouting & routing = layers_[layer];
    routing.layer = layer;
    routing.n_used = static_cast<int>(chosen->ne[0]);
    for (int64_t token = 0; token < chosen->ne[1]; ++token) {
        const auto begin = static_cast<std::ptrdiff_t>(routing.experts.size());
        for (int64_t k = 0; k < chosen->ne[0]; ++k) {
            const char * at =
                bytes.data() + static_cast<size_t>(token) * chosen->nb[1] + static_cast<size_t>(k) * chosen->nb[0];
            routing.experts.push_back(static_cast<uint16_t>(*reinterpret_cast<const int32_t *>(at)));
        }
        std::sort(routing.experts.begin() + begin, routing.experts.end());
    }
}

std::vector<LayerRouting> RoutingRecorder::take() {
    std::vector<LayerRouting> result;
    for (auto & [layer, routing] : layers_)
        result.push_back(std::move(routing));
    layers_.clear();
    return result;
}

}  // namespace shimmy::engine
