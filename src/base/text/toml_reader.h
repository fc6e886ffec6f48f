// A TOML table read key by key: every key must be known and of the right type, and errors name file:line.
#pragma once

#include "base/error.h"
#include "base/text/text.h"

// It asserts that a key begins as one may, and has an error for one that does not: "[*]".
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_HEADER_ONLY 0  // its code is compiled with toml_reader.cpp, not wherever a file is read
#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy {

// Throws UsageError with file:line for a syntax error.
toml::table parse_toml(std::string_view text, const std::string & file);

class TomlReader {
public:
    // `what` names the table in errors: "campaign", "model".
    TomlReader(const toml::table & table, std::string file, std::string what);

    std::string required_string(const std::string & key);
    std::string string(const std::string & key, const std::string & fallback);
    int64_t integer(const std::string & key, int64_t fallback, int64_t min, int64_t max);
    double number(const std::string & key, double fallback, double min, double max);
    bool boolean(const std::string & key, bool fallback);

    // nullptr if the key is absent.
    const toml::table * table(const std::string & key);

    // The key may be there, with a value of any type; nullptr if it is absent.
    const toml::node * any(const std::string & key) { return find(key); }

    // Whole numbers in a range, none twice; nullopt if the key is absent.
    std::optional<std::vector<int>> integers(const std::string & key, int min, int max);

    // The elements of a list that, if present, must not be empty; nullptr if the key is absent.
    const toml::array * list(const std::string & key);

    std::string element_string(const toml::node & element, const std::string & key) const;
    const toml::table & element_table(const toml::node & element, const std::string & key) const;

    // Call after the last read: what was not asked for is a mistake of the writer.
    void finish() const;

    // Throws the UsageError of a key's value, or of the table if the key is absent.
    [[noreturn]] void fail_at(const std::string & key, const std::string & message) const;

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
    [[noreturn]] void fail_at(const toml::node & node, const std::string & message) const;

private:
    const toml::node * find(const std::string & key);
    std::string non_empty_string(const toml::node & node, const std::string & key) const;

    const toml::table & table_;
    std::string file_;
    std::string what_;
    std::set<std::string> known_;
};

}  // namespace shimmy
