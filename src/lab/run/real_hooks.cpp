#include "lab/run/real_hooks.h"

#include "base/error.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "engine/make/synthesize.h"
#include "gguf/file_type.h"
#include "gguf/model_info.h"
#include "gguf/shape.h"
#include "lab/run/verify_made.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

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

engine::TensorPlan tensors_of(const CampaignModel & model, const Variant & variant) {
    return model.is_synthetic() ? engine::plan_tensors(shape_of(model), variant.quantization)
                                : engine::plan_tensors(variant.input, variant.quantization);
}

}  // namespace

InputInfo read_input_info(const CampaignModel & model) {
    if (model.is_synthetic()) return shape_info(model);
    const gguf::ModelInfo info = gguf::read_model_info(model.path);
    InputInfo input;
    input.quantization = info.quantization;
    input.already_quantized = !std::all_of(info.types.begin(), info.types.end(),
                                           [](const gguf::TypeUse & use) { return gguf::is_float_type(use.type); });
    input.n_expert = info.cpu_moe_applies() ? static_cast<int>(info.n_expert) : 0;
    input.n_layer = static_cast<int>(info.n_layers);
    input.n_ctx_train = static_cast<int>(info.n_ctx_train);
    input.arch = info.arch;
    input.languages = info.languages;
    return input;
}

Hooks real_hooks() {
    Hooks hooks;
    hooks.launch = run_process;
    hooks.read_input = read_input_info;
    hooks.variant_bytes = [](const Campaign & campaign, const Variant & variant) -> uint64_t {
        const CampaignModel & model = campaign.models.at(variant.campaign_model);
        return model.sparse ? 0 : tensors_of(model, variant).total_bytes();
    };
    hooks.make_variant = [](const Campaign & campaign, const Variant & variant, const ByteProgress & progress) {
        variant.input.empty() ? synthesize(campaign, variant, progress) : quantize(campaign, variant, progress);
        const CampaignModel & model = campaign.models.at(variant.campaign_model);
        verify_made(variant, read_input_info(model), tensors_of(model, variant));
    };
    return hooks;
}

}  // namespace shimmy::lab
