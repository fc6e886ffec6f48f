// The JSON type of the whole program. Keys keep the order they were written in, so documents read well
// and come out byte-identical for the same input.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace shimmy {

using Json = nlohmann::ordered_json;

// A document as text. Bytes that are not UTF-8 (of a file's name, of a model's text) are replaced, so that what is
// printed or written is JSON whatever it holds. `indent` -1: on one line.
std::string json_text(const Json & document, int indent = 2);

// How large a JSON text from outside may be before it is parsed. Copying, writing and freeing what was parsed goes down
// level by level on the stack; a value takes far more memory than its text; and a key of an object is looked for among
// all that came before it.
struct JsonLimits {
    size_t n_bytes = size_t{64} << 20;
    size_t depth = 128;  // honest schemas in tools have 30 levels
    size_t n_values = size_t{1} << 22;
    size_t n_members = size_t{1} << 14;  // of one object
};

// Why a text is beyond the limits, as "is nested deeper than 128 levels"; empty if it is not. Says nothing about
// whether it is JSON.
std::string json_excess(std::string_view text, const JsonLimits & limits = {});

// Text from outside: another program's, a server's, a file that people may have touched. is_discarded() if it is not
// JSON, holds bytes that are not UTF-8, or is beyond the limits.
Json parse_json(std::string_view text, const JsonLimits & limits = {});

// The same of a file, of which no more is read than the limits allow. Throws Error if it cannot be read.
Json read_json(const std::filesystem::path & file, const JsonLimits & limits = {});

}  // namespace shimmy
