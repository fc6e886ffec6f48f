#include "engine/layout/tensor_types.h"

#include "base/error.h"

namespace shimmy::engine {

ggml_type tensor_type_named(const std::string & name) {
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_type_size(type) > 0 && name == ggml_type_name(type)) return type;
    }
    fail("unknown tensor type '{}'", name);
}

std::vector<llama_model_tensor_override> override_list(const std::vector<TensorOverride> & overrides) {
    std::vector<llama_model_tensor_override> list;
    for (const TensorOverride & one : overrides)
        list.push_back({one.pattern.c_str(), tensor_type_named(one.type)});
    list.push_back({nullptr, GGML_TYPE_COUNT});
    return list;
}

}  // namespace shimmy::engine
