#include "gguf/model_info.h"

#include "base/error.h"
#include "base/text/text.h"
#include "gguf/active_share.h"
#include "gguf/expert_tensors.h"
#include "gguf/file_type.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace shimmy::gguf {

namespace {

// Limits of llama.cpp (src/llama-hparams.h), which asserts them.
constexpr int64_t MAX_LAYERS = 512;
constexpr int64_t MAX_EXPERTS = 1024;
constexpr int64_t MAX_DIMENSION = int64_t{1} << 31;

// Hyperparameters of the file's architecture: "<arch>.<name>".
class Hyperparameters {
public:
    Hyperparameters(const GgufFile & file, const std::string & arch) : file_(file), arch_(arch) {}

    // One value, or the largest of a list with one per layer; 0 if the key is missing.
    int64_t largest(const std::string & name, int64_t limit = MAX_DIMENSION) const {
        const std::vector<int64_t> values = file_.metadata().find_ints(key(name)).value_or(std::vector<int64_t>{});
        int64_t result = 0;
        for (const int64_t value : values) {
            if (value < 0 || value > limit)
                fail("{}: metadata key {} is {}: must be from 0 to {}", file_.path().string(), key(name), value, limit);
            result = std::max(result, value);
        }
        return result;
    }

    std::string key(const std::string & name) const { return arch_ + "." + name; }

private:
    const GgufFile & file_;
    const std::string & arch_;
};

std::string text_or(const GgufFile & file, std::string_view key, const std::string & fallback) {
    const auto text = file.metadata().find_string(key);
    return text ? std::string(*text) : fallback;
}

std::vector<std::string> languages_of(const GgufFile & file) {
    const Value * value = file.metadata().find("general.languages");
    if (value == nullptr || !value->is_array || value->type != ValueType::string) return {};
    const auto texts = file.metadata().find_strings("general.languages").value();
    return {texts.begin(), texts.end()};
}

void read_hyperparameters(const GgufFile & file, ModelInfo & info) {
    const Hyperparameters hparams(file, info.arch);
    info.n_layers = hparams.largest("block_count", MAX_LAYERS);
    info.n_layers_dense_lead = hparams.largest("leading_dense_block_count");
    info.n_layers_nextn = std::min(hparams.largest("nextn_predict_layers"), info.n_layers);
    info.n_ctx_train = hparams.largest("context_length");
    info.n_embd = hparams.largest("embedding_length");
    info.n_ff = hparams.largest("feed_forward_length");
    info.n_ff_exp = hparams.largest("expert_feed_forward_length");
    info.n_head = hparams.largest("attention.head_count");
    info.n_head_kv = hparams.largest("attention.head_count_kv");
    if (info.n_head_kv == 0) info.n_head_kv = info.n_head;
    info.head_size = hparams.largest("attention.key_length");
    if (info.head_size == 0 && info.n_head > 0) info.head_size = info.n_embd / info.n_head;
    info.n_expert = hparams.largest("expert_count", MAX_EXPERTS);
    info.n_expert_used = hparams.largest("expert_used_count", MAX_EXPERTS);
    info.n_expert_shared = hparams.largest("expert_shared_count", MAX_EXPERTS);
    info.n_swa = hparams.largest("attention.sliding_window");
    info.n_vocab = hparams.largest("vocab_size");
    if (const Value * tokens = file.metadata().find("tokenizer.ggml.tokens"))
        info.n_vocab = static_cast<int64_t>(tokens->n);
    if (info.n_expert_used > info.n_expert) {
        fail("{}: uses {} experts per token of {}: not possible", file.path().string(), info.n_expert_used,
             info.n_expert);
    }
}

void add_expert_tensor(const TensorInfo & tensor, ModelInfo & info) {
    const bool is_matrix = is_expert_tensor(tensor.name);
    ++(is_matrix ? info.n_expert_tensors : info.n_expert_bias_tensors);
    info.expert_bytes += tensor.bytes;
    const auto layer = static_cast<size_t>(std::max(0, layer_of(tensor.name)));
    if (layer < info.expert_bytes_per_layer.size()) info.expert_bytes_per_layer[layer] += tensor.bytes;
    // Some architectures give the experts' size as feed_forward_length: the matrix itself knows.
    const bool is_down = tensor.name.find(".ffn_down_exps.weight") != std::string::npos;
    if (is_down && tensor.shape.size() == 3) info.n_ff_exp = std::max(info.n_ff_exp, tensor.shape.front());
}

void count_tensors(const GgufFile & file, ModelInfo & info) {
    const ActiveShare active(file);
    std::map<std::string, TypeUse> types;
    info.expert_bytes_per_layer.resize(static_cast<size_t>(info.n_layers));
    bool has_dense_ffn = false;
    for (const TensorInfo & tensor : file.tensors()) {
        TypeUse & use = types[tensor.type];
        use.type = upper(tensor.type);
        ++use.n_tensors;
        use.bytes += tensor.bytes;
        info.tensor_bytes += tensor.bytes;
        info.n_params += tensor.n_elements;
        has_dense_ffn = has_dense_ffn || tensor.name.ends_with(".ffn_down.weight");
        info.n_active_params += active.elements(tensor);
        info.bytes_per_token += active.bytes(tensor);
        if (is_moved_by_cpu_moe(tensor.name) && active.is_loaded(tensor)) add_expert_tensor(tensor, info);
    }
    info.n_tensors = file.tensors().size();
    if (info.n_expert_tensors > 0 && !has_dense_ffn) info.n_ff = 0;
    for (auto & [type, use] : types)
        info.types.push_back(std::move(use));
    std::stable_sort(info.types.begin(), info.types.end(),
                     [](const TypeUse & a, const TypeUse & b) { return a.bytes > b.bytes; });
    if (info.n_params > 0)
        info.bits_per_weight = static_cast<double>(info.tensor_bytes) * 8.0 / static_cast<double>(info.n_params);
}

}  // namespace

ModelInfo read_model_info(const GgufFile & file) {
    ModelInfo info;
    const auto arch = file.metadata().find_string("general.architecture");
    if (!arch) fail("{}: has no general.architecture: not a model (an imatrix, or damaged)", file.path().string());
    info.arch = *arch;
    info.name = text_or(file, "general.name", file.path().stem().string());
    info.description = text_or(file, "general.description", "");
    info.languages = languages_of(file);
    info.size_bytes = file.size_bytes();
    info.shards = file.shards();
    info.tokenizer = text_or(file, "tokenizer.ggml.model", "");
    info.chat_template = text_or(file, "tokenizer.chat_template", "");
    read_hyperparameters(file, info);
    count_tensors(file, info);
    if (!info.types.empty()) info.dominant_type = info.types.front().type;
    if (const auto file_type = file.metadata().find_int("general.file_type"))
        info.quantization = file_type_name(*file_type);
    if (info.quantization.empty()) info.quantization = info.dominant_type;
    return info;
}

ModelInfo read_model_info(const std::filesystem::path & path) {
    return read_model_info(GgufFile(path));
}

}  // namespace shimmy::gguf
