// Base64 (RFC 4648, part 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shimmy {

std::string base64(std::string_view bytes);

// Nothing where it is none: another character, padding in the middle, a length that cannot be.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace shimmy
