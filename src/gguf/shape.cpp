#include "gguf/shape.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/data_dir.h"
#include "base/text/toml_reader.h"

#include <algorithm>
#include <array>
#include <set>

namespace shimmy::gguf {

namespace {

constexpr int64_t MAX_VOCAB = 1 << 24;  // the largest that are published have 2^18

fs::path shapes_dir() {
    return data_dir("shapes", SHIMMY_SHAPES_DIR);
}

[[noreturn]] void fail_at(const Shape & shape, const toml::node & node, const std::string & message) {
    fail_usage("{}:{}: {}", shape.source, node.source().begin.line, message);
}

template <typename T>
T required(const Shape & shape, const toml::table & table, const char * key) {
    const auto * node = table.get(key);
    const auto value = node == nullptr ? std::nullopt : node->value_exact<T>();
    if (node == nullptr) fail_usage("{}: has no '{}'", shape.source, key);
    if (!value) fail_at(shape, *node, fmt::format("'{}' has the wrong type", key));
    return *value;
}

template <typename T>
std::optional<T> optional(const Shape & shape, const toml::table & table, const char * key) {
    const auto * node = table.get(key);
    if (node == nullptr) return std::nullopt;
    const auto value = node->value<T>();  // a whole number is a fine double
    if (!value) fail_at(shape, *node, fmt::format("'{}' has the wrong type", key));
    return value;
}

void check_keys(const Shape & shape, const toml::table & table, const std::set<std::string> & known) {
    for (const auto & [key, node] : table) {
        const std::string name(key.str());
        if (!known.contains(name))
            fail_at(shape, node, fmt::format("unknown key '{}' (known: {})", name, fmt::join(known, ", ")));
    }
}

template <typename T>
std::vector<T> elements(const toml::array & array) {
    std::vector<T> values;
    for (const toml::node & node : array)
        values.push_back(*node.value<T>());
    return values;
}

MetadataValue parse_value(const Shape & shape, const toml::node & node) {
    if (const auto * value = node.as_boolean()) return value->get();
    if (const auto * value = node.as_integer()) return value->get();
    if (const auto * value = node.as_floating_point()) return value->get();
    if (const auto * value = node.as_string()) return value->get();
    const toml::array * array = node.as_array();
    if (array != nullptr && !array->empty()) {
        if (array->is_homogeneous<bool>()) return elements<bool>(*array);
        if (array->is_homogeneous<int64_t>()) return elements<int64_t>(*array);
        if (array->is_homogeneous<double>()) return elements<double>(*array);
        if (array->is_homogeneous<std::string>()) return elements<std::string>(*array);
    }
    fail_at(shape, node, "a metadata value must be true or false, a number, a text, or a list of one of these");
}

// Nested tables spell the dots of GGUF's keys: [metadata.phimoe] rope.freq_base = 1e4.
void flatten(Shape & shape, const toml::table & table, const std::string & prefix) {
    for (const auto & [key, node] : table) {
        const std::string name = prefix + std::string(key.str());
        if (const toml::table * inner = node.as_table()) {
            flatten(shape, *inner, name + ".");
        } else {
            shape.metadata.emplace_back(name, parse_value(shape, node));
        }
    }
}

void parse_expectations(Shape & shape, const toml::table & table) {
    check_keys(shape, table,
               {"layers", "experts", "experts_used", "experts_shared", "context_length", "expert_tensors", "parameters",
                "active_parameters", "tolerance"});
    Expectations & expect = shape.expect;
    expect.n_layers = optional<int64_t>(shape, table, "layers");
    expect.n_expert = optional<int64_t>(shape, table, "experts");
    expect.n_expert_used = optional<int64_t>(shape, table, "experts_used");
    expect.n_expert_shared = optional<int64_t>(shape, table, "experts_shared");
    expect.n_ctx_train = optional<int64_t>(shape, table, "context_length");
    expect.n_expert_tensors = optional<int64_t>(shape, table, "expert_tensors");
    expect.n_params = optional<double>(shape, table, "parameters");
    expect.n_active_params = optional<double>(shape, table, "active_parameters");
    expect.tolerance = optional<double>(shape, table, "tolerance").value_or(expect.tolerance);
    if (!(expect.tolerance >= 0.0 && expect.tolerance < 1.0))
        fail_at(shape, table, "'tolerance' must be at least 0 and less than 1");
}

// What [expect] does not say follows from the metadata.
void complete_expectations(Shape & shape) {
    const auto fill = [&](std::optional<int64_t> & value, const char * name) {
        if (!value) value = shape.find_int(name);
    };
    shape.expect.arch = shape.arch;
    fill(shape.expect.n_layers, "block_count");
    fill(shape.expect.n_expert, "expert_count");
    fill(shape.expect.n_expert_used, "expert_used_count");
    fill(shape.expect.n_expert_shared, "expert_shared_count");
    fill(shape.expect.n_ctx_train, "context_length");
    if (!shape.expect.n_expert_shared && !shape.metadata.empty()) shape.expect.n_expert_shared = 0;
}

Shape parse_shape(const fs::path & path) {
    Shape shape;
    shape.source = path.string();
    const toml::table table = parse_toml(read_file(path), shape.source);
    check_keys(shape, table, {"name", "arch", "quantization", "vocab", "vocab_size", "omit", "metadata", "expect"});
    shape.name = required<std::string>(shape, table, "name");
    shape.arch = required<std::string>(shape, table, "arch");
    shape.quantization = optional<std::string>(shape, table, "quantization").value_or("Q4_K_M");
    shape.vocab = optional<std::string>(shape, table, "vocab").value_or("");
    shape.n_vocab = optional<int64_t>(shape, table, "vocab_size").value_or(0);
    if (shape.n_vocab < 0 || shape.n_vocab > MAX_VOCAB)
        fail_at(shape, *table.get("vocab_size"),
                fmt::format("vocab_size is {}, must be 0 to {}", shape.n_vocab, MAX_VOCAB));
    if (const auto * omit = table.get_as<toml::array>("omit")) {
        if (!omit->empty() && !omit->is_homogeneous<std::string>())
            fail_at(shape, *omit, "'omit' must be a list of texts");
        shape.omit = elements<std::string>(*omit);
    }
    if (const auto * metadata = table.get_as<toml::table>("metadata")) flatten(shape, *metadata, "");
    if (const auto * expect = table.get_as<toml::table>("expect")) parse_expectations(shape, *expect);
    complete_expectations(shape);
    return shape;
}

template <typename T>
bool cut(MetadataValue & value, size_t n_old, size_t n_new) {
    auto * list = std::get_if<std::vector<T>>(&value);
    if (list == nullptr || list->size() != n_old) return false;
    list->resize(n_new);
    return true;
}

}  // namespace

const MetadataValue * Shape::find(const std::string & key) const {
    const auto found =
        std::find_if(metadata.begin(), metadata.end(), [&](const auto & entry) { return entry.first == key; });
    return found == metadata.end() ? nullptr : &found->second;
}

std::optional<int64_t> Shape::find_int(const std::string & key) const {
    const MetadataValue * value = find(arch + "." + key);
    if (value == nullptr) return std::nullopt;
    const auto * number = std::get_if<int64_t>(value);
    if (number == nullptr) fail_usage("{}: {}.{} must be a whole number", source, arch, key);
    return *number;
}

std::vector<std::string> shape_names() {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto & entry : fs::directory_iterator(shapes_dir(), ignored)) {
        if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

Shape load_shape(const std::string & name_or_path) {
    const bool is_path = name_or_path.ends_with(".toml") || name_or_path.find('/') != std::string::npos;
    if (is_path) return parse_shape(name_or_path);
    const std::vector<std::string> names = shape_names();
    if (std::find(names.begin(), names.end(), name_or_path) == names.end()) {
        fail_usage("'{}' is not a known shape (there is: {}; or give a TOML file)", name_or_path,
                   fmt::join(names, ", "));
    }
    return parse_shape(shapes_dir() / (name_or_path + ".toml"));
}

Shape with_layers(Shape shape, int64_t n_layers) {
    const std::string key = shape.arch + ".block_count";
    const auto n_real = shape.find_int("block_count");
    if (!n_real) fail_usage("{}: has no {}", shape.source, key);
    const int64_t n_dense = shape.find_int("leading_dense_block_count").value_or(0);
    if (n_layers <= n_dense || n_layers > *n_real) {
        fail_usage("{}: --layers must be from {} to {}{}", shape.name, n_dense + 1, *n_real,
                   n_dense > 0 ? fmt::format(" (the first {} without experts)", n_dense) : "");
    }
    const auto n_old = static_cast<size_t>(*n_real);
    const auto n_new = static_cast<size_t>(n_layers);
    for (auto & [name, value] : shape.metadata) {
        if (name == key) {
            value = n_layers;
        } else if (name.starts_with(shape.arch + ".")) {
            cut<bool>(value, n_old, n_new) || cut<int64_t>(value, n_old, n_new) || cut<double>(value, n_old, n_new) ||
                cut<std::string>(value, n_old, n_new);
        }
    }
    return shape;
}

fs::path find_vocab(const Shape & shape) {
    if (shape.vocab.empty()) fail_usage("{}: has no 'vocab'", shape.source);
    if (shape.vocab.ends_with(".gguf")) return fs::path(shape.source).parent_path() / shape.vocab;
    const fs::path path = data_dir("vocab", SHIMMY_VOCAB_DIR) / fmt::format("ggml-vocab-{}.gguf", shape.vocab);
    if (!fs::exists(path)) fail("{}: vocabulary '{}' is not there ({})", shape.source, shape.vocab, path.string());
    return path;
}

}  // namespace shimmy::gguf
