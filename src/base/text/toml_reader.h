// A TOML table read key by key: every key must be known and of the right type, and errors name file:line.
#pragma once

#include "base/error.h"
#include "base/text/text.h"

// It asserts that a key begins as one may, and has an error for one that does not: "[*]".
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy {

// Throws UsageError with file:line for a syntax error.
inline toml::table parse_toml(std::string_view text, const std::string & file) {
    constexpr size_t MAX_REASON_CHARS = 300;  // it quotes the file
    try {
        return toml::parse(text, file);
    } catch (const toml::parse_error & error) {
        fail_usage("{}:{}: {}", file, error.source().begin.line, printable(error.description(), MAX_REASON_CHARS));
    }
}

class TomlReader {
public:
    // `what` names the table in errors: "campaign", "model".
    TomlReader(const toml::table & table, std::string file, std::string what)
        : table_(table), file_(std::move(file)), what_(std::move(what)) {}

    std::string required_string(const std::string & key) {
        const toml::node * node = find(key);
        if (node == nullptr) fail_at(table_, fmt::format("the {} has no '{}'", what_, key));
        return non_empty_string(*node, key);
    }

    std::string string(const std::string & key, const std::string & fallback) {
        const toml::node * node = find(key);
        return node == nullptr ? fallback : non_empty_string(*node, key);
    }

    int64_t integer(const std::string & key, int64_t fallback, int64_t min, int64_t max) {
        const toml::node * node = find(key);
        if (node == nullptr) return fallback;
        if (!node->is_integer()) fail_at(*node, fmt::format("'{}' must be a whole number", key));
        const int64_t value = node->as_integer()->get();
        if (value < min || value > max) fail_at(*node, range_message(key, fmt::format("{}", value), min, max));
        return value;
    }

    double number(const std::string & key, double fallback, double min, double max) {
        const toml::node * node = find(key);
        if (node == nullptr) return fallback;
        if (!node->is_number()) fail_at(*node, fmt::format("'{}' must be a number", key));
        const double value = node->value<double>().value();
        if (!(value >= min && value <= max)) fail_at(*node, range_message(key, fmt::format("{}", value), min, max));
        return value;
    }

    bool boolean(const std::string & key, bool fallback) {
        const toml::node * node = find(key);
        if (node == nullptr) return fallback;
        if (!node->is_boolean()) fail_at(*node, fmt::format("'{}' must be true or false", key));
        return node->as_boolean()->get();
    }

    // nullptr if the key is absent.
    const toml::table * table(const std::string & key) {
        const toml::node * node = find(key);
        if (node == nullptr) return nullptr;
        if (!node->is_table()) fail_at(*node, fmt::format("'{}' must be a table, written as [{}]", key, key));
        return node->as_table();
    }

    // The key may be there, with a value of any type; nullptr if it is absent.
    const toml::node * any(const std::string & key) { return find(key); }

    // Whole numbers in a range, none twice; nullopt if the key is absent.
    std::optional<std::vector<int>> integers(const std::string & key, int min, int max) {
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

    // The elements of a list that, if present, must not be empty; nullptr if the key is absent.
    const toml::array * list(const std::string & key) {
        const toml::node * node = find(key);
        if (node == nullptr) return nullptr;
        if (!node->is_array()) fail_at(*node, fmt::format("'{}' must be a list", key));
        if (node->as_array()->empty()) fail_at(*node, fmt::format("'{}' is an empty list", key));
        return node->as_array();
    }

    std::string element_string(const toml::node & element, const std::string & key) const {
        return non_empty_string(element, key);
    }

    const toml::table & element_table(const toml::node & element, const std::string & key) const {
        if (!element.is_table()) fail_at(element, fmt::format("'{}' must be tables, written as [[{}]]", key, key));
        return *element.as_table();
    }

    // Call after the last read: what was not asked for is a mistake of the writer.
    void finish() const {
        for (const auto & [key, node] : table_) {
            const std::string name(key.str());
            if (!known_.contains(name)) {
                fail_at(node,
                        fmt::format("unknown key '{}' in the {} (known: {})", name, what_, fmt::join(known_, ", ")));
            }
        }
    }

    // Throws the UsageError of a key's value, or of the table if the key is absent.
    [[noreturn]] void fail_at(const std::string & key, const std::string & message) const {
        const toml::node * node = table_.get(key);
        fail_at(node == nullptr ? static_cast<const toml::node &>(table_) : *node, message);
    }

    // What `parse` makes of the text of a node; if it throws UsageError, the message gets the node's place.
    template <typename Parse>
    auto parsed(const toml::node & node, const std::string & text, const Parse & parse) const {
        try {
            return parse(text);
        } catch (const UsageError & error) {
            fail_at(node, error.what());
        }
    }

    // Throws the UsageError of a node.
    [[noreturn]] void fail_at(const toml::node & node, const std::string & message) const {
        fail_usage("{}:{}: {}", file_, node.source().begin.line, message);
    }

private:
    const toml::node * find(const std::string & key) {
        known_.insert(key);
        return table_.get(key);
    }

    std::string non_empty_string(const toml::node & node, const std::string & key) const {
        if (!node.is_string()) fail_at(node, fmt::format("'{}' must be text in quotes", key));
        std::string value = node.as_string()->get();
        if (value.empty()) fail_at(node, fmt::format("'{}' is empty", key));
        return value;
    }

    template <typename T>
    static std::string range_message(const std::string & key, const std::string & value, T min, T max) {
        return fmt::format("'{}' is {}, must be {} to {}", key, value, min, max);
    }

    const toml::table & table_;
    std::string file_;
    std::string what_;
    std::set<std::string> known_;
};

}  // namespace shimmy
