#include "gguf/problems.h"

#include "base/error.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "gguf/expert_tensors.h"
#include "gguf/purpose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>
#include <unordered_map>

namespace shimmy::gguf {

namespace {

constexpr uint64_t TENSOR_ALIGNMENT_BYTES = 32;  // ggml's
constexpr const char * DAMAGED = "the file is damaged or was made wrong: take another copy, or convert the model again";

using Problems = std::vector<std::string>;

class ArchitectureKeys {
public:
    explicit ArchitectureKeys(const GgufFile & file)
        : file_(file), arch_(file.metadata().find_string("general.architecture").value_or("")) {}

    std::string key(std::string_view name) const { return fmt::format("{}.{}", arch_, name); }
    bool has(std::string_view name) const { return file_.metadata().find(key(name)) != nullptr; }

    // One value, or the largest of a list; 0 if the key is missing.
    int64_t largest(std::string_view name) const {
        const auto values = file_.metadata().find_ints(key(name)).value_or(std::vector<int64_t>{});
        return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
    }

private:
    const GgufFile & file_;
    std::string arch_;
};

void add(Problems & problems, const ArchitectureKeys & hparams, std::string_view name, const std::string & why) {
    problems.push_back(fmt::format("{} is {}: {}", hparams.key(name),
                                   hparams.has(name) ? fmt::format("{}", hparams.largest(name)) : "missing", why));
}

void look_at_purpose(const GgufFile & file, Problems & problems) {
    switch (model_type(file)) {
        case ModelType::adapter:
            problems.emplace_back(
                "is a LoRA adapter, which changes a model and is none: merge it into its model with llama.cpp's "
                "llama-export-lora, and use the result");
            break;
        case ModelType::projector:
            problems.emplace_back(
                "is a projector (mmproj), the part of a model that reads images or sound: give the file of the "
                "language model itself");
            break;
        case ModelType::imatrix:
            problems.emplace_back("is an importance matrix and no model: pass it with quantize --imatrix");
            break;
        case ModelType::vocabulary:
            problems.emplace_back("holds a vocabulary and no weights");
            break;
        default:
            break;
    }
}

void look_at_layers(const ArchitectureKeys & hparams, Problems & problems) {
    if (hparams.has("context_length") && hparams.largest("context_length") == 0)
        add(problems, hparams, "context_length", fmt::format("a context holds tokens; {}", DAMAGED));
    if (!hparams.has("block_count")) return;  // llama.cpp names the missing key
    const int64_t n_layers = hparams.largest("block_count");
    if (n_layers == 0) add(problems, hparams, "block_count", fmt::format("a model has layers; {}", DAMAGED));
    if (hparams.largest("nextn_predict_layers") > n_layers) {
        add(problems, hparams, "nextn_predict_layers",
            fmt::format("more than the {} layers of the file; {}", n_layers, DAMAGED));
    }
}

bool has_expert_tensors(const GgufFile & file) {
    return std::any_of(file.tensors().begin(), file.tensors().end(),
                       [](const TensorInfo & tensor) { return is_moved_by_cpu_moe(tensor.name); });
}

void look_at_experts(const GgufFile & file, const ArchitectureKeys & hparams, Problems & problems) {
    const int64_t n_expert = hparams.largest("expert_count");
    const int64_t n_used = hparams.largest("expert_used_count");
    if (n_expert > 0 && n_used == 0) {
        add(problems, hparams, "expert_used_count",
            fmt::format("of {} experts a token must use at least one; {}", n_expert, DAMAGED));
    }
    if (n_expert == 0 && has_expert_tensors(file))
        add(problems, hparams, "expert_count", fmt::format("but there are expert tensors; {}", DAMAGED));
    const int64_t n_groups = hparams.largest("expert_group_count");
    if (n_groups > 0 && (n_groups >= std::max<int64_t>(n_expert, 1) || (n_groups > 1 && n_expert % n_groups != 0))) {
        add(problems, hparams, "expert_group_count",
            fmt::format("{} experts cannot be divided into so many groups; {}", n_expert, DAMAGED));
    } else if (n_groups > 1) {
        const int64_t n_groups_used = hparams.largest("expert_group_used_count");
        if (n_groups_used < 1 || n_groups_used >= n_groups) {
            add(problems, hparams, "expert_group_used_count",
                fmt::format("must be from 1 to {}; {}", n_groups - 1, DAMAGED));
        }
    }
    for (const TensorInfo & tensor : file.tensors()) {
        if (!is_tensor_of_one_expert(tensor.name)) continue;
        problems.push_back(
            fmt::format("every expert has a tensor of its own ({}), as in files from before April 2024, which "
                        "llama.cpp no longer reads: convert the original model again, or take a newer file",
                        printable(tensor.name)));
        break;
    }
}

// Every number of the architecture. Limits may be infinite, which is none.
void look_at_numbers(const GgufFile & file, const ArchitectureKeys & hparams, Problems & problems) {
    const std::string prefix = hparams.key("");
    for (const auto & [key, value] : file.metadata().values()) {
        if (!key.starts_with(prefix) || value.type != ValueType::float32) continue;
        for (uint64_t i = 0; i < value.n; ++i) {
            float number = 0;
            std::memcpy(&number, value.data + i * sizeof(number), sizeof(number));
            const bool is_limit = !key.ends_with("epsilon") && !key.ends_with("freq_base");
            const bool is_sound = is_limit ? !std::isnan(number) : std::isfinite(number) && number >= 0;
            if (is_sound) continue;
            problems.push_back(fmt::format("{} is {}; {}", printable(key), number, DAMAGED));
            break;
        }
    }
}

void look_at_positions(const GgufFile & file, const ArchitectureKeys & hparams, Problems & problems) {
    constexpr std::array<std::string_view, 4> SCALINGS{"none", "linear", "yarn", "longrope"};
    const auto scaling = file.metadata().find_string(hparams.key("rope.scaling.type"));
    if (scaling && std::find(SCALINGS.begin(), SCALINGS.end(), *scaling) == SCALINGS.end()) {
        problems.push_back(fmt::format("{} is '{}', which llama.cpp does not know (it knows {}); {}",
                                       hparams.key("rope.scaling.type"), printable(*scaling), fmt::join(SCALINGS, ", "),
                                       DAMAGED));
    }
    const int64_t n_head = hparams.largest("attention.head_count");
    int64_t head_size = hparams.largest("attention.key_length");
    if (head_size == 0 && n_head > 0) head_size = hparams.largest("embedding_length") / n_head;
    const int64_t n_rot = hparams.largest("rope.dimension_count");
    // Architectures with a compressed cache rotate a part that they name themselves.
    const bool compressed = hparams.has("attention.kv_lora_rank");
    if (!compressed && head_size > 0 && n_rot > head_size) {
        add(problems, hparams, "rope.dimension_count",
            fmt::format("more than the {} values of an attention head; {}", head_size, DAMAGED));
    }
}

void look_at_tokens(const GgufFile & file, Problems & problems) {
    const Value * value = file.metadata().find("tokenizer.ggml.tokens");
    if (value == nullptr || !value->is_array || value->type != ValueType::string) return;
    const std::string_view model = file.metadata().find_string("tokenizer.ggml.model").value_or("");
    if (model == "none" || model == "no_vocab") return;  // llama.cpp does not read them
    const auto tokens = file.metadata().find_strings("tokenizer.ggml.tokens").value();
    std::unordered_map<std::string_view, size_t> first;
    first.reserve(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].empty()) continue;  // llama.cpp gives it a name of its own
        const auto [found, is_new] = first.emplace(tokens[i], i);
        if (is_new) continue;
        problems.push_back(
            fmt::format("tokens {} and {} of its vocabulary are both '{}', which llama.cpp does not load: take "
                        "another conversion of the model, or convert it again with a newer convert_hf_to_gguf.py",
                        found->second, i, printable(tokens[i])));
        return;
    }
}

// Tables of whole numbers, which are looked up and not multiplied with.
bool is_table(std::string_view name) {
    return name.find("tid2eid") != std::string_view::npos;
}

// ggml has no product for the rest: some end the process, some give no result.
bool is_weight_type(std::string_view type) {
    constexpr std::array<std::string_view, 8> OTHERS{"f64", "i8", "i16", "i32", "i64", "q8_1", "q8_K", "count"};
    return std::find(OTHERS.begin(), OTHERS.end(), type) == OTHERS.end();
}

void look_at_types(const GgufFile & file, Problems & problems) {
    for (const TensorInfo & tensor : file.tensors()) {
        if (tensor.n_elements == 0) {
            problems.push_back(
                fmt::format("{} is empty ([{}]); {}", printable(tensor.name), fmt::join(tensor.shape, ", "), DAMAGED));
            return;
        }
        if (is_weight_type(tensor.type) || is_table(tensor.name)) continue;
        problems.push_back(fmt::format("{} is {}, a type that weights cannot have; {}", printable(tensor.name),
                                       upper(tensor.type), DAMAGED));
        return;
    }
}

}  // namespace

std::vector<std::string> find_problems(const GgufFile & file) {
    Problems problems;
    look_at_purpose(file, problems);
    if (!problems.empty()) return problems;
    if (file.metadata().find("general.architecture") == nullptr) {
        problems.emplace_back("has no general.architecture: not a model (an imatrix, or damaged)");
        return problems;
    }
    const ArchitectureKeys hparams(file);
    look_at_layers(hparams, problems);
    look_at_experts(file, hparams, problems);
    look_at_positions(file, hparams, problems);
    look_at_numbers(file, hparams, problems);
    look_at_tokens(file, problems);
    look_at_types(file, problems);
    return problems;
}

std::vector<std::string> find_weaknesses(const GgufFile & file) {
    std::vector<std::string> weaknesses;
    // Files from before May 2024: llama.cpp then splits text as another model's tokenizer does.
    if (file.metadata().find_string("tokenizer.ggml.model").value_or("") == "gpt2" &&
        file.metadata().find_string("tokenizer.ggml.pre").value_or("").empty()) {
        weaknesses.emplace_back(
            "does not say how its tokenizer splits text (tokenizer.ggml.pre), so llama.cpp guesses, and answers may be "
            "worse: take a newer file, or convert the original model again");
    }
    return weaknesses;
}

void require_usable(const GgufFile & file) {
    const std::vector<std::string> problems = find_problems(file);
    if (!problems.empty()) fail("{}: {}", file.path().string(), problems.front());
}

bool can_be_mapped(const GgufFile & file) {
    return std::all_of(file.tensors().begin(), file.tensors().end(),
                       [](const TensorInfo & tensor) { return tensor.offset_bytes % TENSOR_ALIGNMENT_BYTES == 0; });
}

}  // namespace shimmy::gguf
