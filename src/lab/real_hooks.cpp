#include "base/error.h"
#include "engine/tensor_plan.h"
#include "gguf/model_info.h"
#include "lab/campaign_run.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

bool is_float_type(const std::string & type) {
    return type == "F32" || type == "F16" || type == "BF16";
}

}  // namespace

InputInfo read_input_info(const fs::path & file) {
    const gguf::ModelInfo info = gguf::read_model_info(file);
    InputInfo input;
    input.quantization = info.quantization;
    input.already_quantized = !std::all_of(info.types.begin(), info.types.end(),
                                           [](const gguf::TypeUse & use) { return is_float_type(use.type); });
    input.n_expert = info.cpu_moe_applies() ? static_cast<int>(info.n_expert) : 0;
    input.n_layer = static_cast<int>(info.n_layers);
    input.n_ctx_train = static_cast<int>(info.n_ctx_train);
    return input;
}

Hooks real_hooks() {
    Hooks hooks;
    hooks.launch = run_process;
    hooks.read_input = read_input_info;
    hooks.quantized_bytes = [](const fs::path & input, const std::string & type) {
        return engine::plan_tensors(input, type).total_bytes();
    };
    hooks.quantize = [](const engine::QuantizeOptions & options, const ByteProgress & progress) {
        engine::quantize(options, progress);
    };
    return hooks;
}

}  // namespace shimmy::lab
