// Internal to check: text as words and sentences.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace shimmy::check {

// Split at white space.
std::vector<std::string> words(std::string_view text);

// Lines with their white space at both ends removed; empty ones are kept.
std::vector<std::string> lines(std::string_view text);

}  // namespace shimmy::check
