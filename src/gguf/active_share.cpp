#include "gguf/active_share.h"

#include "gguf/expert_tensors.h"

#include <algorithm>

namespace shimmy::gguf {

ActiveShare::ActiveShare(const GgufFile & file) {
    const std::string arch(file.metadata().find_string("general.architecture").value_or(""));
    n_used_per_layer_ = file.metadata().find_ints(arch + ".expert_used_count").value_or(std::vector<int64_t>{});
    const auto count = [&](const char * name) {
        const auto values = file.metadata().find_ints(arch + name).value_or(std::vector<int64_t>{});
        return values.empty() ? int64_t{0} : values.front();
    };
    n_experts_ = count(".expert_count");
    const int64_t n_nextn = count(".nextn_predict_layers");
    if (n_nextn > 0) n_layers_loaded_ = std::max<int64_t>(0, count(".block_count") - n_nextn);
    has_output_ = std::any_of(file.tensors().begin(), file.tensors().end(),
                              [](const TensorInfo & tensor) { return tensor.name == "output.weight"; });
}

bool ActiveShare::is_loaded(const TensorInfo & tensor) const {
    return n_layers_loaded_ == 0 || layer_of(tensor.name) < n_layers_loaded_;
}

uint64_t ActiveShare::elements(const TensorInfo & tensor) const {
    if (!is_loaded(tensor)) return 0;
    return is_of_experts(tensor) ? chosen(tensor, tensor.n_elements) : tensor.n_elements;
}

uint64_t ActiveShare::bytes(const TensorInfo & tensor) const {
    if (!is_loaded(tensor)) return 0;
    if (is_of_experts(tensor)) return chosen(tensor, tensor.bytes);
    const bool is_lookup = tensor.name == "token_embd.weight" && has_output_ && tensor.shape.size() == 2;
    return is_lookup ? tensor.bytes / static_cast<uint64_t>(std::max<int64_t>(1, tensor.shape[1])) : tensor.bytes;
}

bool ActiveShare::is_of_experts(const TensorInfo & tensor) const {
    return is_moved_by_cpu_moe(tensor.name) || is_tensor_of_one_expert(tensor.name);
}

// The experts are the last dimension, or tensors of their own.
uint64_t ActiveShare::chosen(const TensorInfo & tensor, uint64_t whole) const {
    const int64_t n_in_tensor = tensor.shape.empty() ? 0 : tensor.shape.back();
    const int64_t n_experts = is_moved_by_cpu_moe(tensor.name) ? n_in_tensor : n_experts_;
    if (n_experts <= 0 || n_used_per_layer_.empty()) return whole;
    const auto layer = static_cast<size_t>(std::max(0, layer_of(tensor.name)));
    const int64_t n_used = n_used_per_layer_[std::min(layer, n_used_per_layer_.size() - 1)];
    return whole / static_cast<uint64_t>(n_experts) * static_cast<uint64_t>(std::clamp<int64_t>(n_used, 0, n_experts));
}

}  // namespace shimmy::gguf
