// How large a JSON text may be before it is parsed: copying, writing and freeing what was parsed goes down level by
// level on the stack, and every value takes far more memory than its text.
#pragma once

#include <cstddef>
#include <string_view>

namespace shimmy::serve {

inline constexpr size_t MAX_JSON_DEPTH = 128;       // honest schemas in tools have 30 levels
inline constexpr size_t MAX_JSON_VALUES = 1 << 20;  // a prompt of a million tokens

// Throws HttpError 400 for a text beyond one of them. Says nothing about whether it is JSON.
void require_json_limits(std::string_view text);

}  // namespace shimmy::serve
