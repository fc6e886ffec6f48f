#include "engine/layout/tensor_override.h"

#include "base/error.h"
#include "base/text/text.h"

#include "ggml.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace shimmy::engine {

namespace {

// Q8_1 and Q8_K are what activations are turned into; llama.cpp has no quantizer for weights to them.
bool takes_weights(ggml_type type) {
    if (type == GGML_TYPE_Q8_1 || type == GGML_TYPE_Q8_K || ggml_type_size(type) == 0) return false;
    return ggml_is_quantized(type) || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16 || type == GGML_TYPE_F32;
}

std::string canonical_type(const std::string & name) {
    std::vector<std::string> known;
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (!takes_weights(type)) continue;
        known.emplace_back(ggml_type_name(type));
        if (lower(known.back()) == lower(name)) return known.back();
    }
    fail_usage("unknown tensor type '{}' (known: {})", name, fmt::join(known, ", "));
}

}  // namespace

TensorOverride parse_tensor_override(const std::string & text) {
    const size_t at = text.rfind('=');
    if (at == std::string::npos || at == 0 || at + 1 == text.size())
        fail_usage("'{}' is not PATTERN=TYPE, such as ffn_down_exps=Q6_K", text);
    TensorOverride result{text.substr(0, at), canonical_type(text.substr(at + 1))};
    try {
        const std::regex checked(result.pattern);
    } catch (const std::regex_error & error) {
        fail_usage("'{}' is not a regular expression: {}", result.pattern, error.what());
    }
    return result;
}

}  // namespace shimmy::engine
