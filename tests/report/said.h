// Findings in the words of the templates that come with the program.
#pragma once

#include "report/values/wording.h"

#include <string>
#include <vector>

namespace shimmy::report {

inline std::vector<std::string> said(const std::vector<Finding> & findings) {
    return sentences(Templates(), findings);
}
inline std::string said(const Finding & finding) {
    return said(std::vector<Finding>{finding}).front();
}

}  // namespace shimmy::report
