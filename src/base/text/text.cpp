#include "base/text/text.h"

#include "base/text/utf8.h"

#include <algorithm>
#include <cstdint>

namespace shimmy {

namespace {

bool shows(char32_t code) {
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
    const bool directs = code == 0x200E || code == 0x200F || code == 0x061C || (code >= 0x202A && code <= 0x202E) ||
                         (code >= 0x2066 && code <= 0x2069);
    return !control && !directs && code != 0xFEFF;
}

}  // namespace

std::string lower(std::string_view text) {
    std::string result(text);
    for (char & c : result) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const size_t end = text.find(separator);
        parts.emplace_back(text.substr(0, end));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

std::string upper(std::string_view text) {
    std::string result(text);
    for (char & c : result) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return result;
}

std::string shell_quoted(std::string_view text) {
    std::string result = "'";
    for (const char c : text)
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
}

std::string printable(std::string_view text, size_t max_chars) {
    std::string result;
    for (size_t n_chars = 0; !text.empty(); ++n_chars) {
        if (n_chars == max_chars) return result + "…";
        const Character character = first_character(text);
        const bool is_good = character.n_bytes > 0 && shows(character.code);
        const size_t n_bytes = character.n_bytes > 0 ? character.n_bytes : 1;
        if (is_good) {
            result += text.substr(0, n_bytes);
        } else {
            result += '?';
        }
        text.remove_prefix(n_bytes);
    }
    return result;
}

std::string printable_lines(std::string_view text) {
    std::string result;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find_first_of("\n\t", at), text.size());
        result += printable(text.substr(at, end - at), text.size());
        if (end < text.size()) result += text[end];
        at = end + 1;
    }
    return result;
}

}  // namespace shimmy
