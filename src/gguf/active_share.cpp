#include "gguf/active_share.h"

#include "gguf/expert_tensors.h"

#include <algorithm>

namespace shimmy::gguf {

ActiveShare::ActiveShare(const GgufFile & file) {
    const std::string arch(file.metadata().find_string("general.architecture").value_or(""));
    n_used_per_layer_ = file.metadata().find_ints(arch + ".expert_used_count").value_or(std::vector<int64_t>{});
    has_output_ = std::any_of(file.tensors().begin(), file.tensors().end(),
                              [](const TensorInfo & tensor) { return tensor.name == "output.weight"; });
}

uint64_t ActiveShare::elements(const TensorInfo & tensor) const {
    return is_moved_by_cpu_moe(tensor.name) ? chosen(tensor, tensor.n_elements) : tensor.n_elements;
}

uint64_t ActiveShare::bytes(const TensorInfo & tensor) const {
    if (is_moved_by_cpu_moe(tensor.name)) return chosen(tensor, tensor.bytes);
    const bool is_lookup = tensor.name == "token_embd.weight" && has_output_ && tensor.shape.size() == 2;
    return is_lookup ? tensor.bytes / static_cast<uint64_t>(std::max<int64_t>(1, tensor.shape[1])) : tensor.bytes;
}

// The experts are the last dimension.
uint64_t ActiveShare::chosen(const TensorInfo & tensor, uint64_t whole) const {
    const int64_t n_experts = tensor.shape.empty() ? 0 : tensor.shape.back();
    if (n_experts <= 0 || n_used_per_layer_.empty()) return whole;
    const auto layer = static_cast<size_t>(std::max(0, layer_of(tensor.name)));
    const int64_t n_used = n_used_per_layer_[std::min(layer, n_used_per_layer_.size() - 1)];
    return whole / static_cast<uint64_t>(n_experts) * static_cast<uint64_t>(std::clamp<int64_t>(n_used, 0, n_experts));
}

}  // namespace shimmy::gguf
