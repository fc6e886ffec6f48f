#include "engine/layout/tensor_plan.h"

#include "base/error.h"
#include "engine/layout/file_layout.h"
#include "engine/layout/quantization.h"
#include "engine/layout/shape_metadata.h"
#include "engine/layout/tensor_types.h"
#include "engine/llama/llama_internal.h"
#include "engine/llama/log.h"
#include "gguf/expert_tensors.h"
#include "gguf/problems.h"

#include "ggml-backend.h"
#include "ggml-cpp.h"
#include "gguf.h"
#include "llama-cpp.h"
#include "llama-ext.h"

#include <algorithm>
#include <array>
#include <memory>
#include <regex>
#include <set>
#include <utility>

namespace shimmy::engine {

namespace {

// Every weight may have these, but only models quantized to NVFP4 by their makers do. The router's is gemma4's own.
constexpr const char * NVFP4_SCALES = R"(^(?!.*\.ffn_gate_inp\.scale$).*\.(input_)?scale$)";

// Token to expert, of layers that route by a table: whole numbers.
constexpr const char * ROUTING_TABLE = ".ffn_gate_tid2eid.weight";

// A tensor before its type is chosen.
struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
    ggml_type type = GGML_TYPE_F32;
};

// Nothing is allocated and no GPU is asked: only the architecture's code runs.
llama_model_params planning_params() {
    static std::array<ggml_backend_dev_t, 1> no_devices{nullptr};
    llama_model_params params = llama_model_default_params();
    params.devices = no_devices.data();
    params.n_gpu_layers = 0;
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE;  // mapped weights would count as allocated
    params.load_mtp = true;                   // layers that predict several tokens are part of the file
    return params;
}

// llama.cpp's quantizer decides in this order, and how many it has seen of a kind decides the type.
void sort_as_quantizer(std::vector<Tensor> & tensors) {
    std::sort(tensors.begin(), tensors.end(), [](const Tensor & a, const Tensor & b) {
        const int a_layer = gguf::layer_of(a.name);
        const int b_layer = gguf::layer_of(b.name);
        return a_layer != b_layer ? a_layer < b_layer : a.name < b.name;
    });
}

// llama.cpp's quantizer says in its log, and nowhere else, that a tensor gets another type than was wanted: "warning:
// blk.0.ffn_down_exps.weight - ncols 192 not divisible by 256 (required for type q4_K) -> falling back to q5_0".
class FallbackReader {
public:
    explicit FallbackReader(std::vector<Fallback> & found) : found_(found) {
        llama_log_get(&previous_, &previous_data_);
        llama_log_set(&FallbackReader::on_log, this);
    }
    ~FallbackReader() { llama_log_set(previous_, previous_data_); }
    FallbackReader(const FallbackReader &) = delete;
    FallbackReader & operator=(const FallbackReader &) = delete;

private:
    static void on_log(ggml_log_level level, const char * text, void * user_data) {
        auto * self = const_cast<FallbackReader *>(static_cast<const FallbackReader *>(user_data));
        if (self->previous_ != nullptr) self->previous_(level, text, self->previous_data_);
        self->read(text);
    }

    // A line comes in two or three pieces.
    void read(const std::string & piece) {
        static const std::regex begins(
            R"(warning: *(\S+) *- ncols *(\d+) not divisible by *\d+ \(required for type *(\S+)\))");
        static const std::regex ends(R"(-> falling back to *(\S+))");
        std::smatch match;
        if (std::regex_search(piece, match, begins)) current_ = Fallback{match[1], std::stoll(match[2]), match[3], ""};
        if (!std::regex_search(piece, match, ends) || current_.tensor.empty()) return;
        current_.got = match[1];
        found_.push_back(std::exchange(current_, {}));
    }

    std::vector<Fallback> & found_;
    Fallback current_;
    ggml_log_callback previous_ = nullptr;
    void * previous_data_ = nullptr;
};

TensorPlan plan(const llama_model * model, std::vector<Tensor> tensors, const std::string & quantization,
                const std::vector<TensorOverride> & overrides) {
    sort_as_quantizer(tensors);
    const ggml_context_ptr context(
        ggml_init({ggml_tensor_overhead() * (tensors.size() + 1), nullptr, /*no_alloc=*/true}));
    std::vector<ggml_tensor *> handles;
    for (const Tensor & tensor : tensors) {
        handles.push_back(
            ggml_new_tensor(context.get(), tensor.type, static_cast<int>(tensor.shape.size()), tensor.shape.data()));
        ggml_set_name(handles.back(), tensor.name.c_str());
    }
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = static_cast<llama_ftype>(quantization_ftype(quantization));
    const auto list = override_list(overrides);
    params.tt_overrides = list.data();
    const std::unique_ptr<quantize_state_impl, decltype(&llama_quant_free)> state(llama_quant_init(model, &params),
                                                                                  &llama_quant_free);
    std::vector<ggml_type> types(handles.size());
    TensorPlan result;
    {
        const FallbackReader reader(result.fallbacks);
        // Tensors that are not quantized keep their own type, here as in the quantizer.
        llama_quant_compute_types(state.get(), params.ftype, handles.data(), types.data(), handles.size());
    }
    for (size_t i = 0; i < handles.size(); ++i) {
        const auto n_rows = static_cast<uint64_t>(ggml_nrows(handles[i]));
        result.tensors.push_back({tensors[i].name, tensors[i].shape, ggml_type_name(types[i]),
                                  n_rows * ggml_row_size(types[i], handles[i]->ne[0])});
    }
    return result;
}

// Tensors of the model that llama.cpp built, shared ones once, without those that the shape says the real model lacks.
std::vector<Tensor> tensors_of(const llama_model * model, const gguf::Shape & shape) {
    std::vector<std::regex> omit;
    try {
        for (const std::string & pattern : shape.omit)
            omit.emplace_back(pattern);
    } catch (const std::regex_error & error) {
        fail_usage("{}: 'omit' holds a bad regular expression: {}", shape.source, error.what());
    }
    omit.emplace_back(NVFP4_SCALES);
    std::vector<Tensor> tensors;
    std::set<std::string> names;
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(model)) {
        const bool omitted = std::any_of(omit.begin(), omit.end(),
                                         [&](const std::regex & pattern) { return std::regex_search(name, pattern); });
        if (omitted || !names.insert(name).second) continue;
        tensors.push_back({name, std::vector<int64_t>(tensor->ne, tensor->ne + ggml_n_dims(tensor)),
                           name.ends_with(ROUTING_TABLE) ? GGML_TYPE_I32 : GGML_TYPE_F32});
    }
    return tensors;
}

// A pattern that changes nothing is a mistake of the writer.
void require_matches(const std::vector<TensorOverride> & overrides, const std::vector<Tensor> & tensors) {
    for (const TensorOverride & one : overrides) {
        const std::regex pattern(one.pattern);
        const auto matches = [&](const Tensor & tensor) { return std::regex_search(tensor.name, pattern); };
        if (std::none_of(tensors.begin(), tensors.end(), matches))
            fail_usage("no tensor's name matches '{}'", one.pattern);
    }
}

void ignore_tensor(ggml_tensor * /*tensor*/, void * /*user_data*/) {}

}  // namespace

TensorPlan tensors_as_they_are(const gguf::GgufFile & file) {
    TensorPlan plan;
    for (const gguf::TensorInfo & tensor : file.tensors())
        plan.tensors.push_back({tensor.name, tensor.shape, tensor.type, tensor.bytes});
    return plan;
}

TensorPlan plan_tensors(const std::filesystem::path & path, const std::string & quantization,
                        const std::vector<TensorOverride> & overrides) {
    const gguf::GgufFile file(path);
    gguf::require_usable(file);
    // The architecture's code runs over the tensor table alone: reading the vocabulary would take longer than the rest.
    const HollowFile hollow(lay_out(make_metadata_without_vocabulary(file).get(), tensors_as_they_are(file)));
    const LogCapture log;
    const llama_model_ptr model(llama_model_load_from_file(hollow.path().c_str(), planning_params()));
    if (!model) fail("{}: {}", path.string(), log.reason("llama.cpp cannot load it"));
    std::vector<Tensor> tensors;
    for (const gguf::TensorInfo & tensor : file.tensors())
        tensors.push_back({tensor.name, tensor.shape, tensor_type_named(tensor.type)});
    require_matches(overrides, tensors);
    return plan(model.get(), std::move(tensors), quantization, overrides);
}

TensorPlan plan_tensors(const gguf::Shape & shape, const std::string & quantization) {
    const gguf_context_ptr metadata = make_metadata(shape);
    // Only the number of tokens shapes tensors: reading hundreds of thousands of merges would take longer than the
    // rest.
    const auto n_vocab =
        static_cast<uint32_t>(gguf_get_arr_n(metadata.get(), gguf_find_key(metadata.get(), "tokenizer.ggml.tokens")));
    const std::string vocab_size_key = shape.arch + ".vocab_size";
    for (const auto & [key, value] : shape.metadata) {  // which is not asked further here
        const auto * given = std::get_if<int64_t>(&value);
        if (key == vocab_size_key && given != nullptr && *given < 1)
            fail("{}: metadata key {} is {}: a vocabulary has tokens", shape.source, key, *given);
    }
    gguf_set_val_str(metadata.get(), "tokenizer.ggml.model", "none");
    gguf_set_val_u32(metadata.get(), vocab_size_key.c_str(), n_vocab);
    const LogCapture log;
    const llama_model_ptr model(llama_model_init_from_user(metadata.get(), &ignore_tensor, nullptr, planning_params()));
    if (!model) fail("{}: {}", shape.source, log.reason("llama.cpp cannot build it"));
    return plan(model.get(), tensors_of(model.get(), shape), quantization, {});
}

}  // namespace shimmy::engine
