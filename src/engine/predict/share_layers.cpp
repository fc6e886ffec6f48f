#include "engine/predict/share_layers.h"

#include "engine/load/load_params.h"
#include "engine/predict/estimate.h"
#include "engine/predict/layer_split.h"
#include "gguf/active_share.h"
#include "gguf/expert_tensors.h"
#include "gguf/model_info.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

bool stays_in_ram(const gguf::TensorInfo & tensor, const Placement & placement) {
    if (!gguf::is_moved_by_cpu_moe(tensor.name)) return false;
    return placement == Placement::offload() || gguf::layer_of(tensor.name) < placement.n_cpu_moe;
}

bool is_output(const std::string & name, bool has_output) {
    return name.starts_with("output") || (!has_output && name == "token_embd.weight");
}

// Weights of each layer, and last of the output, that go to a GPU: bytes.
std::vector<uint64_t> weights_of_layers(const gguf::GgufFile & file, const Placement & placement) {
    const gguf::ActiveShare active(file);
    const std::vector<gguf::TensorInfo> & tensors = file.tensors();
    const bool has_output = std::any_of(tensors.begin(), tensors.end(),
                                        [](const gguf::TensorInfo & tensor) { return tensor.name == "output.weight"; });
    std::vector<uint64_t> bytes(static_cast<size_t>(gguf::read_model_info(file).n_layers) + 1, 0);
    for (const gguf::TensorInfo & tensor : tensors) {
        if (!active.is_loaded(tensor) || stays_in_ram(tensor, placement)) continue;
        const int layer = gguf::layer_of(tensor.name);
        if (layer >= 0 && static_cast<size_t>(layer) + 1 < bytes.size())
            bytes[static_cast<size_t>(layer)] += tensor.bytes;
        if (layer < 0 && is_output(tensor.name, has_output)) bytes.back() += tensor.bytes;
    }
    return bytes;
}

std::vector<uint32_t> equal_shares(size_t n_layers, size_t n_gpus) {
    std::vector<uint32_t> shares(n_gpus, static_cast<uint32_t>(n_layers / n_gpus));
    shares.back() += static_cast<uint32_t>(n_layers % n_gpus);
    return shares;
}

}  // namespace

LoadOptions with_shared_layers(LoadOptions options, const std::vector<Device> & gpus) {
    options.layers_of_gpu.clear();
    const gguf::GgufFile & file = options.open_file();
    if (gpus.size() < 2 || !LoadParams(options, /*no_alloc=*/true).splits_layers()) return options;

    // What does not depend on the shares much is seen where they are equal.
    std::vector<uint64_t> layer_bytes = weights_of_layers(file, options.placement);
    options.layers_of_gpu = equal_shares(layer_bytes.size(), gpus.size());
    const MemoryUse equal = estimate_memory(options);
    const size_t n_layers = layer_bytes.size() - 1;
    for (size_t layer = 0; layer < n_layers; ++layer)
        layer_bytes[layer] += equal.vram().context_bytes / n_layers;
    std::vector<uint64_t> room_bytes;
    for (const Device & gpu : gpus) {
        const uint64_t compute = equal.of_device(gpu.name).compute_bytes;
        room_bytes.push_back(gpu.memory_free_bytes - std::min(gpu.memory_free_bytes, compute));
    }
    options.layers_of_gpu = split_layers(layer_bytes, room_bytes);
    return options;
}

}  // namespace shimmy::engine
