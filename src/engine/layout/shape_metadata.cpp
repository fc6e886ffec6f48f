#include "engine/layout/shape_metadata.h"

#include "base/error.h"
#include "gguf/gguf_file.h"

#include "gguf.h"
#include "llama.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace shimmy::engine {

namespace {

// Of the vocabulary's keys the one that shapes a tensor, beside the number of tokens.
constexpr const char * TOKEN_TYPE_COUNT = "tokenizer.ggml.token_type_count";

void set_strings(gguf_context * context, const std::string & key, const std::vector<std::string> & texts) {
    std::vector<const char *> pointers;
    for (const std::string & text : texts)
        pointers.push_back(text.c_str());
    gguf_set_arr_str(context, key.c_str(), pointers.data(), pointers.size());
}

// llama.cpp wants unsigned hyperparameters as u32.
void set_int(gguf_context * context, const std::string & key, int64_t value) {
    if (value >= 0 && value <= std::numeric_limits<uint32_t>::max()) {
        gguf_set_val_u32(context, key.c_str(), static_cast<uint32_t>(value));
    } else if (value >= std::numeric_limits<int32_t>::min() && value < 0) {
        gguf_set_val_i32(context, key.c_str(), static_cast<int32_t>(value));
    } else {
        gguf_set_val_i64(context, key.c_str(), value);
    }
}

// Lists that llama.cpp reads as u64 and nothing else (hash tables of per-layer embeddings).
bool is_list_of_u64(std::string_view key) {
    return key.ends_with(".ple.layer_multipliers") || key.ends_with(".ple.head_offsets") ||
           key.ends_with(".ple.head_vocab_sizes");
}

struct SetValue {
    gguf_context * context;
    const std::string & key;

    template <typename T>
    void set_list(const std::vector<int64_t> & values, gguf_type type) const {
        const std::vector<T> numbers(values.begin(), values.end());
        gguf_set_arr_data(context, key.c_str(), type, numbers.data(), numbers.size());
    }

    void operator()(bool value) const { gguf_set_val_bool(context, key.c_str(), value); }
    void operator()(int64_t value) const { set_int(context, key, value); }
    void operator()(double value) const { gguf_set_val_f32(context, key.c_str(), static_cast<float>(value)); }
    void operator()(const std::string & value) const { gguf_set_val_str(context, key.c_str(), value.c_str()); }
    void operator()(const std::vector<std::string> & values) const { set_strings(context, key, values); }
    void operator()(const std::vector<bool> & values) const {
        const std::vector<int8_t> bytes(values.begin(), values.end());
        gguf_set_arr_data(context, key.c_str(), GGUF_TYPE_BOOL, bytes.data(), bytes.size());
    }
    void operator()(const std::vector<int64_t> & values) const {
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        if (is_list_of_u64(key) && *least >= 0) return set_list<uint64_t>(values, GGUF_TYPE_UINT64);
        if (*least >= std::numeric_limits<int32_t>::min() && *most <= std::numeric_limits<int32_t>::max())
            return set_list<int32_t>(values, GGUF_TYPE_INT32);
        if (*least >= 0 && *most <= std::numeric_limits<uint32_t>::max())
            return set_list<uint32_t>(values, GGUF_TYPE_UINT32);
        set_list<int64_t>(values, GGUF_TYPE_INT64);
    }
    void operator()(const std::vector<double> & values) const {
        const std::vector<float> numbers(values.begin(), values.end());
        gguf_set_arr_data(context, key.c_str(), GGUF_TYPE_FLOAT32, numbers.data(), numbers.size());
    }
};

template <typename T>
T raw(const gguf::Value & value) {
    T result;
    std::memcpy(&result, value.data, sizeof(T));  // unaligned in the file
    return result;
}

// In its own type: llama.cpp tells a u32 from an i32.
void copy_number(gguf_context * context, const char * key, const gguf::Value & value) {
    using gguf::ValueType;
    switch (value.type) {
        case ValueType::uint8:
            return gguf_set_val_u8(context, key, raw<uint8_t>(value));
        case ValueType::int8:
            return gguf_set_val_i8(context, key, raw<int8_t>(value));
        case ValueType::uint16:
            return gguf_set_val_u16(context, key, raw<uint16_t>(value));
        case ValueType::int16:
            return gguf_set_val_i16(context, key, raw<int16_t>(value));
        case ValueType::uint32:
            return gguf_set_val_u32(context, key, raw<uint32_t>(value));
        case ValueType::int32:
            return gguf_set_val_i32(context, key, raw<int32_t>(value));
        case ValueType::float32:
            return gguf_set_val_f32(context, key, raw<float>(value));
        case ValueType::boolean:
            return gguf_set_val_bool(context, key, raw<int8_t>(value) != 0);
        case ValueType::uint64:
            return gguf_set_val_u64(context, key, raw<uint64_t>(value));
        case ValueType::int64:
            return gguf_set_val_i64(context, key, raw<int64_t>(value));
        case ValueType::float64:
            return gguf_set_val_f64(context, key, raw<double>(value));
        case ValueType::string:
        case ValueType::array:
            break;
    }
}

void copy_value(gguf_context * context, const std::string & key, const gguf::Metadata & metadata,
                const gguf::Value & value) {
    const bool is_string = value.type == gguf::ValueType::string;
    if (is_string && value.is_array) {
        const auto texts = metadata.find_strings(key);
        set_strings(context, key, std::vector<std::string>(texts->begin(), texts->end()));
    } else if (is_string) {
        gguf_set_val_str(context, key.c_str(), std::string(*metadata.find_string(key)).c_str());
    } else if (value.is_array) {
        gguf_set_arr_data(context, key.c_str(), static_cast<gguf_type>(value.type), value.data, value.n);
    } else {
        copy_number(context, key.c_str(), value);
    }
}

// A list of 4-byte numbers, one per token.
template <typename T>
std::vector<T> numbers_of(const gguf::Value * value, size_t n, T fallback) {
    static_assert(sizeof(T) == 4);
    std::vector<T> numbers(n, fallback);
    const bool usable = value != nullptr && value->is_array && gguf::size_of(value->type) == sizeof(T);
    if (usable) std::memcpy(numbers.data(), value->data, std::min<size_t>(n, value->n) * sizeof(T));
    return numbers;
}

// Tokens, scores and token types up to `n_vocab`: what is missing becomes "<unused_7>", which text never produces.
void pad_vocab(gguf_context * context, const gguf::Shape & shape, const gguf::GgufFile & vocab) {
    const auto present = vocab.metadata().find_strings("tokenizer.ggml.tokens");
    if (!present) fail("{}: has no vocabulary", vocab.path().string());
    std::vector<std::string> tokens(present->begin(), present->end());
    const size_t n_present = tokens.size();
    const size_t n_vocab = shape.n_vocab == 0 ? n_present : static_cast<size_t>(shape.n_vocab);
    auto types =
        numbers_of<int32_t>(vocab.metadata().find("tokenizer.ggml.token_type"), n_present, LLAMA_TOKEN_TYPE_NORMAL);
    if (n_present > n_vocab) {
        fail_usage("{}: vocab_size is {}, but vocabulary '{}' has {} tokens", shape.source, n_vocab, shape.vocab,
                   n_present);
    }
    while (tokens.size() < n_vocab)
        tokens.push_back(fmt::format("<unused_{}>", tokens.size() - n_present));
    set_strings(context, "tokenizer.ggml.tokens", tokens);
    types.resize(n_vocab, LLAMA_TOKEN_TYPE_UNUSED);
    gguf_set_arr_data(context, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), n_vocab);
    if (const gguf::Value * present_scores = vocab.metadata().find("tokenizer.ggml.scores")) {
        std::vector<float> scores = numbers_of<float>(present_scores, n_present, 0.0F);
        scores.resize(n_vocab, 0.0F);
        gguf_set_arr_data(context, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), n_vocab);
    }
}

}  // namespace

gguf_context_ptr make_metadata(const gguf::Shape & shape) {
    gguf_context_ptr context(gguf_init_empty());
    gguf_set_val_str(context.get(), "general.architecture", shape.arch.c_str());
    gguf_set_val_str(context.get(), "general.type", "model");
    const gguf::GgufFile vocab(gguf::find_vocab(shape));
    for (const auto & [key, value] : vocab.metadata().values()) {
        if (key.starts_with("tokenizer.")) copy_value(context.get(), std::string(key), vocab.metadata(), value);
    }
    pad_vocab(context.get(), shape, vocab);
    for (const auto & [key, value] : shape.metadata)
        std::visit(SetValue{context.get(), key}, value);
    return context;
}

namespace {

void set_vocabulary_size(gguf_context * context, const std::string & arch, size_t n_vocab) {
    gguf_set_val_str(context, "tokenizer.ggml.model", "none");
    gguf_set_val_u32(context, (arch + ".vocab_size").c_str(), static_cast<uint32_t>(n_vocab));
}

}  // namespace

gguf_context_ptr make_metadata_without_vocabulary(const gguf::Shape & shape) {
    gguf_context_ptr context(gguf_init_empty());
    gguf_set_val_str(context.get(), "general.architecture", shape.arch.c_str());
    const gguf::GgufFile vocab(gguf::find_vocab(shape));
    const gguf::Value * tokens = vocab.metadata().find("tokenizer.ggml.tokens");
    if (tokens == nullptr) fail("{}: has no vocabulary", vocab.path().string());
    if (const gguf::Value * types = vocab.metadata().find(TOKEN_TYPE_COUNT))
        copy_value(context.get(), TOKEN_TYPE_COUNT, vocab.metadata(), *types);
    for (const auto & [key, value] : shape.metadata)
        std::visit(SetValue{context.get(), key}, value);
    set_vocabulary_size(context.get(), shape.arch, shape.n_vocab == 0 ? tokens->n : static_cast<size_t>(shape.n_vocab));
    return context;
}

gguf_context_ptr make_metadata_without_vocabulary(const gguf::GgufFile & file) {
    gguf_context_ptr context(gguf_init_empty());
    const std::string arch(file.metadata().find_string("general.architecture").value_or(""));
    for (const auto & [key, value] : file.metadata().values()) {
        const bool vocabulary = key.starts_with("tokenizer.") && key != TOKEN_TYPE_COUNT;
        const bool needed = !vocabulary && !key.starts_with("split.") && key != "general.alignment";
        if (needed) copy_value(context.get(), std::string(key), file.metadata(), value);
    }
    if (const gguf::Value * tokens = file.metadata().find("tokenizer.ggml.tokens"))
        set_vocabulary_size(context.get(), arch, tokens->n);
    return context;
}

}  // namespace shimmy::engine
