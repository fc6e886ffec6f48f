// Types of single tensors, against what a quantization would choose for them.
#pragma once

#include <string>
#include <vector>

namespace shimmy::engine {

struct TensorOverride {
    std::string pattern;  // regular expression (ECMAScript), found anywhere in the tensor's name
    std::string type;     // ggml's name: "q4_K"
};

// "ffn_down_exps=Q6_K". Throws UsageError for a pattern that is no regular expression, or a type that weights cannot
// be quantized to (naming those they can).
TensorOverride parse_tensor_override(const std::string & text);

}  // namespace shimmy::engine
