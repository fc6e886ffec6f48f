// Which tensors hold routed experts, by name.
#pragma once

#include <string_view>

namespace shimmy::gguf {

// What llama.cpp's --cpu-moe and --n-cpu-moe keep on the CPU: every tensor whose name contains a match of
// `\.ffn_(up|down|gate|gate_up)_(ch|)exps` (LLM_FFN_EXPS_REGEX of common/common.h). Expert biases are among them.
bool is_moved_by_cpu_moe(std::string_view name);

// A routed expert's weight matrix: one tensor holds that matrix of every expert of a layer. Shared experts
// (`ffn_up_shexp`), the router (`ffn_gate_inp`) and expert biases are not.
bool is_expert_tensor(std::string_view name);

// A matrix of one routed expert alone, "blk.1.ffn_gate.7.weight", as converters wrote them before April 2024.
bool is_tensor_of_one_expert(std::string_view name);

// "blk.12.ffn_up_exps.weight" -> 12; -1 for tensors outside the layers.
int layer_of(std::string_view name);

}  // namespace shimmy::gguf
