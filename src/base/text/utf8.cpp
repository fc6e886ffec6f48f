#include "base/text/utf8.h"

#include <array>

namespace shimmy {

Character first_character(std::string_view text) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = at(0);
    if (first < 0x80) return {first, 1};
    const size_t n_bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < n_bytes) return {};
    char32_t code = first & (0xFFU >> (n_bytes + 1));
    for (size_t i = 1; i < n_bytes; ++i) {
        if ((at(i) & 0xC0U) != 0x80) return {};
        code = (code << 6U) | (at(i) & 0x3FU);
    }
    constexpr std::array<char32_t, 5> SMALLEST{0, 0, 0x80, 0x800, 0x10000};
    const bool half = code >= 0xD800 && code <= 0xDFFF;
    if (code < SMALLEST[n_bytes] || code > 0x10FFFF || half) return {};
    return {code, n_bytes};
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const Character character = first_character(text);
        if (character.n_bytes == 0) return false;
        text.remove_prefix(character.n_bytes);
    }
    return true;
}

}  // namespace shimmy
