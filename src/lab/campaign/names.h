// What a campaign may call things.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

namespace shimmy::lab {

// A quantization of this name stands for the model file as it is, whatever type it has.
inline constexpr std::string_view INPUT_AS_IS = "input";

// Names become folders and files.
inline bool is_file_name_safe(const std::string & name) {
    const auto safe = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
    return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), safe);
}

}  // namespace shimmy::lab
