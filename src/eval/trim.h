// Text without the space around it.
#pragma once

#include <string>

namespace shimmy::eval {

inline std::string trimmed(const std::string & text) {
    constexpr const char * SPACE = " \t\r\n\f\v";
    const size_t begin = text.find_first_not_of(SPACE);
    if (begin == std::string::npos) return "";
    return text.substr(begin, text.find_last_not_of(SPACE) - begin + 1);
}

}  // namespace shimmy::eval
