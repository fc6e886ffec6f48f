#include "base/json.h"

#include "base/files.h"

#include <fmt/format.h>

#include <vector>

namespace shimmy {

namespace {

const Json & discarded() {
    static const Json value(Json::value_t::discarded);
    return value;
}

}  // namespace

std::string json_text(const Json & document, int indent) {
    return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string json_excess(std::string_view text, const JsonLimits & limits) {
    if (text.size() > limits.n_bytes) return fmt::format("has more than {} bytes", limits.n_bytes);
    std::vector<size_t> commas;  // per open bracket
    size_t n_values = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if (c == '[' || c == '{') {
            ++n_values;
            // Lists are not searched: only an object's commas count against its members.
            commas.push_back(c == '{' ? 0 : SIZE_MAX / 2);
            if (commas.size() > limits.depth) return fmt::format("is nested deeper than {} levels", limits.depth);
        } else if ((c == ']' || c == '}') && !commas.empty()) {
            commas.pop_back();
        } else if (c == ',') {
            ++n_values;
            if (!commas.empty() && ++commas.back() == limits.n_members)
                return fmt::format("has an object of more than {} members", limits.n_members);
        }
        if (n_values > limits.n_values) return fmt::format("holds more than {} values", limits.n_values);
    }
    return "";
}

Json parse_json(std::string_view text, const JsonLimits & limits) {
    if (!json_excess(text, limits).empty()) return discarded();
    return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Json read_json(const std::filesystem::path & file, const JsonLimits & limits) {
    std::error_code error;
    const uint64_t n_bytes = fs::file_size(file, error);
    if (!error && n_bytes > limits.n_bytes) return discarded();
    return parse_json(read_file(file), limits);
}

}  // namespace shimmy
