#include "base/error.h"
#include "engine/quantize.h"
#include "engine/synthesize.h"
#include "engine/tensor_plan.h"
#include "gguf/model_info.h"
#include "gguf/shape.h"
#include "lab/campaign_run.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

bool is_float_type(const std::string & type) {
    return type == "F32" || type == "F16" || type == "BF16";
}

gguf::Shape shape_of(const CampaignModel & model) {
    gguf::Shape shape = gguf::load_shape(model.shape);
    return model.n_layers > 0 ? gguf::with_layers(std::move(shape), model.n_layers) : shape;
}

InputInfo shape_info(const CampaignModel & model) {
    const gguf::Shape shape = shape_of(model);
    const auto value = [&](const char * key) { return static_cast<int>(shape.find_int(key).value_or(0)); };
    InputInfo input;
    input.quantization = shape.quantization;
    input.n_expert = value("expert_count");
    input.n_layer = value("block_count");
    input.n_ctx_train = value("context_length");
    input.arch = shape.arch;
    return input;
}

void synthesize(const Campaign & campaign, const Variant & variant, const ByteProgress & progress) {
    const CampaignModel & model = campaign.models.at(variant.campaign_model);
    engine::SynthOptions options;
    options.shape = shape_of(model);
    options.quantization = variant.quantization;
    options.output = variant.path;
    options.sparse = model.sparse;
    engine::synthesize(options, progress);
}

void quantize(const Campaign & campaign, const Variant & variant, const ByteProgress & progress) {
    engine::QuantizeOptions options;
    options.input = variant.input;
    options.output = variant.path;
    options.type = variant.quantization;
    options.n_threads = campaign.n_threads;
    engine::quantize(options, progress);
}

}  // namespace

InputInfo read_input_info(const CampaignModel & model) {
    if (model.is_synthetic()) return shape_info(model);
    const gguf::ModelInfo info = gguf::read_model_info(model.path);
    InputInfo input;
    input.quantization = info.quantization;
    input.already_quantized = !std::all_of(info.types.begin(), info.types.end(),
                                           [](const gguf::TypeUse & use) { return is_float_type(use.type); });
    input.n_expert = info.cpu_moe_applies() ? static_cast<int>(info.n_expert) : 0;
    input.n_layer = static_cast<int>(info.n_layers);
    input.n_ctx_train = static_cast<int>(info.n_ctx_train);
    input.arch = info.arch;
    return input;
}

Hooks real_hooks() {
    Hooks hooks;
    hooks.launch = run_process;
    hooks.read_input = read_input_info;
    hooks.variant_bytes = [](const Campaign & campaign, const Variant & variant) -> uint64_t {
        const CampaignModel & model = campaign.models.at(variant.campaign_model);
        if (model.sparse) return 0;
        if (model.is_synthetic()) return engine::plan_tensors(shape_of(model), variant.quantization).total_bytes();
        return engine::plan_tensors(variant.input, variant.quantization).total_bytes();
    };
    hooks.make_variant = [](const Campaign & campaign, const Variant & variant, const ByteProgress & progress) {
        variant.input.empty() ? synthesize(campaign, variant, progress) : quantize(campaign, variant, progress);
    };
    return hooks;
}

}  // namespace shimmy::lab
