// A command line as one text, to compare at a glance: "generate | --ctx | 512".
#pragma once

#include <fmt/ranges.h>

#include <string>
#include <vector>

namespace shimmy::lab {

inline std::string joined(const std::vector<std::string> & words) {
    return fmt::format("{}", fmt::join(words, " | "));
}

}  // namespace shimmy::lab
