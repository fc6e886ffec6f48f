// Letters of ASCII: names, keys and types, which no locale may change.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy {

std::string lower(std::string_view text);
std::string upper(std::string_view text);

// The parts between separators: one more than there are of those.
std::vector<std::string> split(std::string_view text, char separator);

// 'it'\''s': one word of a POSIX shell, whatever is in it.
std::string shell_quoted(std::string_view text);

// Text of a file, a model or a server as part of one line for people: letters of any script stay; control characters,
// marks that change the direction of what follows, and bytes that are not UTF-8 become '?'. What is longer than
// `max_chars` characters is cut and ends in "…".
std::string printable(std::string_view text, size_t max_chars = 80);

// The same of a text of many lines, of any length: line ends and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace shimmy
