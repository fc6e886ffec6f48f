// Letters of ASCII: names, keys and types, which no locale may change.
#pragma once

#include <string>
#include <string_view>

namespace shimmy {

std::string lower(std::string_view text);
std::string upper(std::string_view text);

// 'it'\''s': one word of a POSIX shell, whatever is in it.
std::string shell_quoted(std::string_view text);

}  // namespace shimmy
