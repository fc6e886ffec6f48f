#include "lab/run/real_hooks.h"

#include "base/error.h"
#include "base/json.h"
#include "base/process/subprocess.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "engine/device/device.h"
#include "engine/layout/tensor_plan.h"
#include "engine/llama/version.h"
#include "engine/make/quantize.h"
#include "engine/make/synthesize.h"
#include "gguf/file_type.h"
#include "gguf/model_info.h"
#include "gguf/sampling.h"
#include "gguf/shape.h"
#include "lab/plan/quantized_models.h"
#include "lab/run/making_commands.h"
#include "lab/run/verify_made.h"
#include "quality/search/target_search.h"

#include <algorithm>

namespace shimmy::lab {

namespace {

constexpr std::chrono::seconds TEMPLATE_TIMEOUT{30};
constexpr std::chrono::seconds DEVICES_TIMEOUT{120};  // a first look at a GPU compiles kernels, or wakes it

std::vector<std::string> with_program(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), self_path());
    return arguments;
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

// Made once for all quantizations, and again if the text, the chunks or the model change. In a process of its own,
// which may use a GPU.
void make_matrix(const Campaign & campaign, const CampaignModel & model, const Backends & backends) {
    const fs::path matrix = imatrix_path(campaign, model);
    const fs::path record = imatrix_record_path(matrix);
    const Json made_of{{"input_sha256", sha256_file_hex(model.path)},
                       {"text_sha256", sha256_file_hex(model.imatrix_text)},
                       {"n_chunks", model.imatrix_chunks},
                       {"llama_cpp_version", engine::llama_cpp_version()}};
    if (fs::exists(matrix) && fs::exists(record) && read_json(record) == made_of) return;
    const ProcessResult made = run_process(with_program(imatrix_arguments(campaign, model, backends)));
    if (!made.ok()) fail("{}: shimmy imatrix failed: {}", model.name, failure_of(made));
    write_file_atomic(record, json_text(made_of) + "\n");
}

// In a process of its own, as a person would: it measures for minutes to hours.
void search_mix(const Campaign & campaign, const Variant & variant, const Mix & mix, const Backends & backends) {
    const PartFolder folder(variant.path);
    const ProcessResult made =
        run_process(with_program(search_arguments(campaign, variant, mix, backends, folder.path())));
    const Json document = parse_json(made.out);
    const Json::json_pointer path("/files/0/path");
    if (!made.ok() || !document.is_object() || !document.contains(path))
        fail("{}: shimmy quantize --target-size {} failed: {}", mix.name, mix.target_size, failure_of(made));
    fs::rename(document.at(path).get<std::string>(), variant.path);
}

void quantize(const Campaign & campaign, const Variant & variant, const Backends & backends,
              const ByteProgress & progress) {
    const CampaignModel & model = campaign.models.at(variant.campaign_model);
    if (!model.imatrix_text.empty()) make_matrix(campaign, model, backends);
    const Mix * mix = find_mix(campaign, variant.quantization);
    if (mix != nullptr && mix->is_searched()) return search_mix(campaign, variant, *mix, backends);
    engine::QuantizeOptions options;
    options.input = variant.input;
    options.output = variant.path;
    options.type = file_type(campaign, variant);
    if (mix != nullptr) options.tensor_types = mix->tensor_types;
    options.imatrix = imatrix_path(campaign, model);
    options.n_threads = campaign.n_threads;
    engine::quantize(options, progress);
}

engine::TensorPlan tensors_of(const Campaign & campaign, const Variant & variant) {
    const CampaignModel & model = campaign.models.at(variant.campaign_model);
    if (model.is_synthetic()) return engine::plan_tensors(shape_of(model), variant.quantization);
    const Mix * mix = find_mix(campaign, variant.quantization);
    return engine::plan_tensors(variant.input, file_type(campaign, variant),
                                mix == nullptr ? std::vector<engine::TensorOverride>() : mix->tensor_types);
}

// Whether the types of all tensors are known before the file is made. A matrix may change a few of the smallest types.
bool is_announced(const Campaign & campaign, const Variant & variant) {
    const CampaignModel & model = campaign.models.at(variant.campaign_model);
    const Mix * mix = find_mix(campaign, variant.quantization);
    if (mix != nullptr && mix->is_searched()) return false;
    return imatrix_path(campaign, model).empty() || model.is_synthetic();
}

uint64_t loaded_bytes(const Campaign & campaign, const Variant & variant) {
    const Mix * mix = find_mix(campaign, variant.quantization);
    if (mix != nullptr && mix->is_searched()) return parse_bytes(mix->target_size, "target_size");
    return tensors_of(campaign, variant).total_bytes();
}

uint64_t bytes_of(const Campaign & campaign, const Variant & variant) {
    return campaign.models.at(variant.campaign_model).sparse ? 0 : loaded_bytes(campaign, variant);
}

}  // namespace

InputInfo read_input_info(const CampaignModel & model) {
    if (model.is_synthetic()) return shape_info(model);
    const gguf::GgufFile opened(model.path);
    const gguf::ModelInfo info = gguf::read_model_info(opened);
    InputInfo input;
    input.quantization = info.quantization;
    input.already_quantized = !std::all_of(info.types.begin(), info.types.end(),
                                           [](const gguf::TypeUse & use) { return gguf::is_float_type(use.type); });
    input.n_expert = info.cpu_moe_applies() ? static_cast<int>(info.n_expert) : 0;
    input.n_layer = static_cast<int>(info.n_layers);
    input.n_ctx_train = static_cast<int>(info.n_ctx_train);
    input.arch = info.arch;
    input.languages = info.languages;
    input.sampling = gguf::sampling_text(gguf::recommended_sampling(opened));
    return input;
}

// In a process of its own: a template is a program, and may end the one that runs it. Empty if there is none that
// works.
std::string prompt_format_of(const CampaignModel & model, const std::string & program) {
    const ProcessResult shown =
        run_process({program, "inspect", model.path.string(), "--prompt-format", "--json"}, TEMPLATE_TIMEOUT);
    const Json document = parse_json(shown.out);
    return shown.ok() && document.is_object() ? document.value("prompt_format", "") : "";
}

// In a process of its own, as the runs are: one that looks at a CUDA card holds some of its memory from then on.
void require_gpu(const Campaign & campaign, const CampaignOptions & options) {
    const ProcessResult shown =
        run_process({options.program, "gpu-info", "--gpu-backend", options.backends.gpu, "--json"}, DEVICES_TIMEOUT);
    const Json document = parse_json(shown.out);
    const Json devices = document.is_object() ? document.value("devices", Json()) : Json();
    if (!devices.is_array()) return;                                        // the first run will say what is wrong
    const std::string wanted = split(lower(campaign.device), ',').front();  // the runs look at the others
    std::string names;
    for (const Json & device : devices) {
        const std::string name = device.value("name", "");
        const std::string kind = device.value("kind", "");
        if (kind == engine::to_string(engine::DeviceKind::accelerator)) continue;
        const bool is_gpu = kind != engine::to_string(engine::DeviceKind::cpu);
        const bool hardware = is_gpu && !device.value("software", false);
        if ((is_gpu && (wanted == "gpu" || wanted == lower(name))) || (wanted.empty() && hardware)) return;
        names += (names.empty() ? "" : ", ") + name;
    }
    fail(
        "a campaign compares how much VRAM placements need, so it needs a GPU, and its device '{}' is none (there is: "
        "{}; shimmy gpu-info says why others are not). Without one, device = \"gpu\" takes Mesa's software GPU if it is "
        "installed; shimmy bench and shimmy tune measure on the CPU",
        campaign.device, names);
}

Hooks real_hooks(const Backends & backends) {
    Hooks hooks;
    hooks.launch = run_process;
    hooks.read_input = read_input_info;
    hooks.variant_bytes = bytes_of;
    hooks.loaded_bytes = loaded_bytes;
    hooks.n_searched_files = [](const Campaign &, const Variant & variant) {
        return quality::n_searched_files(variant.input, engine::Placement::offload());
    };
    hooks.make_variant = [backends](const Campaign & campaign, const Variant & variant, const ByteProgress & progress) {
        variant.input.empty() ? synthesize(campaign, variant, progress)
                              : quantize(campaign, variant, backends, progress);
        verify_made(variant, file_type(campaign, variant), read_input_info(campaign.models.at(variant.campaign_model)),
                    is_announced(campaign, variant) ? tensors_of(campaign, variant)
                                                    : engine::tensors_as_they_are(gguf::GgufFile(variant.path)));
    };
    return hooks;
}

Hooks real_hooks_here(const CampaignOptions & options) {
    Hooks hooks = real_hooks(options.backends);
    hooks.read_input = [options](const CampaignModel & model) {
        InputInfo input = read_input_info(model);
        if (!model.is_synthetic()) input.prompt_format = prompt_format_of(model, options.program);
        return input;
    };
    hooks.check_device = [options](const Campaign & campaign) { require_gpu(campaign, options); };
    return hooks;
}

}  // namespace shimmy::lab
