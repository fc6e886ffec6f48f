// Characters of UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace shimmy {

struct Character {
    char32_t code = 0;
    size_t n_bytes = 0;  // 0: not UTF-8
};

// The first character of a text that is not empty. Overlong forms, halves of UTF-16 pairs and what is beyond Unicode
// are not UTF-8.
Character first_character(std::string_view text);

// Whether all of it is UTF-8.
bool is_utf8(std::string_view text);

}  // namespace shimmy
