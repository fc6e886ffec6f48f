#define TOML_IMPLEMENTATION
#include "base/text/toml_reader.h"

#include <algorithm>

namespace shimmy {

namespace {

template <typename T>
std::string range_message(const std::string & key, const std::string & value, T min, T max) {
    return fmt::format("'{}' is {}, must be {} to {}", key, value, min, max);
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string & file) {
    constexpr size_t MAX_REASON_CHARS = 300;  // it quotes the file
    try {
        return toml::parse(text, file);
    } catch (const toml::parse_error & error) {
        fail_usage("{}:{}: {}", file, error.source().begin.line, printable(error.description(), MAX_REASON_CHARS));
    }
}

TomlReader::TomlReader(const toml::table & table, std::string file, std::string what)
    : table_(table), file_(std::move(file)), what_(std::move(what)) {}

std::string TomlReader::required_string(const std::string & key) {
    const toml::node * node = find(key);
    if (node == nullptr) fail_at(table_, fmt::format("the {} has no '{}'", what_, key));
    return non_empty_string(*node, key);
}

std::string TomlReader::string(const std::string & key, const std::string & fallback) {
    const toml::node * node = find(key);
    return node == nullptr ? fallback : non_empty_string(*node, key);
}

int64_t TomlReader::integer(const std::string & key, int64_t fallback, int64_t min, int64_t max) {
    const toml::node * node = find(key);
    if (node == nullptr) return fallback;
    if (!node->is_integer()) fail_at(*node, fmt::format("'{}' must be a whole number", key));
    const int64_t value = node->as_integer()->get();
    if (value < min || value > max) fail_at(*node, range_message(key, fmt::format("{}", value), min, max));
    return value;
}

double TomlReader::number(const std::string & key, double fallback, double min, double max) {
    const toml::node * node = find(key);
    if (node == nullptr) return fallback;
    if (!node->is_number()) fail_at(*node, fmt::format("'{}' must be a number", key));
    const double value = node->value<double>().value();
    if (!(value >= min && value <= max)) fail_at(*node, range_message(key, fmt::format("{}", value), min, max));
    return value;
}

bool TomlReader::boolean(const std::string & key, bool fallback) {
    const toml::node * node = find(key);
    if (node == nullptr) return fallback;
    if (!node->is_boolean()) fail_at(*node, fmt::format("'{}' must be true or false", key));
    return node->as_boolean()->get();
}

const toml::table * TomlReader::table(const std::string & key) {
    const toml::node * node = find(key);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) fail_at(*node, fmt::format("'{}' must be a table, written as [{}]", key, key));
    return node->as_table();
}

std::optional<std::vector<int>> TomlReader::integers(const std::string & key, int min, int max) {
    const toml::array * nodes = list(key);
    if (nodes == nullptr) return std::nullopt;
    std::vector<int> result;
    for (const toml::node & node : *nodes) {
        if (!node.is_integer()) fail_at(node, fmt::format("'{}' must hold whole numbers", key));
        const int64_t value = node.as_integer()->get();
        if (value < min || value > max)
            fail_at(node, range_message(key, fmt::format("{}", value), int64_t{min}, int64_t{max}));
        if (std::find(result.begin(), result.end(), value) != result.end())
            fail_at(node, fmt::format("'{}' lists {} twice", key, value));
        result.push_back(static_cast<int>(value));
    }
    return result;
}

const toml::array * TomlReader::list(const std::string & key) {
    const toml::node * node = find(key);
    if (node == nullptr) return nullptr;
    if (!node->is_array()) fail_at(*node, fmt::format("'{}' must be a list", key));
    if (node->as_array()->empty()) fail_at(*node, fmt::format("'{}' is an empty list", key));
    return node->as_array();
}

std::string TomlReader::element_string(const toml::node & element, const std::string & key) const {
    return non_empty_string(element, key);
}

const toml::table & TomlReader::element_table(const toml::node & element, const std::string & key) const {
    if (!element.is_table()) fail_at(element, fmt::format("'{}' must be tables, written as [[{}]]", key, key));
    return *element.as_table();
}

void TomlReader::finish() const {
    for (const auto & [key, node] : table_) {
        const std::string name(key.str());
        if (!known_.contains(name)) {
            fail_at(node, fmt::format("unknown key '{}' in the {} (known: {})", name, what_, fmt::join(known_, ", ")));
        }
    }
}

void TomlReader::fail_at(const std::string & key, const std::string & message) const {
    const toml::node * node = table_.get(key);
    fail_at(node == nullptr ? static_cast<const toml::node &>(table_) : *node, message);
}

void TomlReader::fail_at(const toml::node & node, const std::string & message) const {
    fail_usage("{}:{}: {}", file_, node.source().begin.line, message);
}

const toml::node * TomlReader::find(const std::string & key) {
    known_.insert(key);
    return table_.get(key);
}

std::string TomlReader::non_empty_string(const toml::node & node, const std::string & key) const {
    if (!node.is_string()) fail_at(node, fmt::format("'{}' must be text in quotes", key));
    std::string value = node.as_string()->get();
    if (value.empty()) fail_at(node, fmt::format("'{}' is empty", key));
    return value;
}

}  // namespace shimmy
