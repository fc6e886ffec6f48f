#include "engine/predict/tensor_override_list.h"

#include "engine/predict/tensor_types.h"

namespace shimmy::engine {

std::vector<llama_model_tensor_override> override_list(const std::vector<TensorOverride> & overrides) {
    std::vector<llama_model_tensor_override> list;
    for (const TensorOverride & one : overrides)
        list.push_back({one.pattern.c_str(), tensor_type_named(one.type)});
    list.push_back({nullptr, GGML_TYPE_COUNT});
    return list;
}

}  // namespace shimmy::engine
