// A sentence that the figures of a campaign say.
#pragma once

#include <string>

namespace shimmy::report {

struct Finding {
    std::string model;  // empty: of the whole campaign
    std::string text;   // one sentence or two, plain text
};

}  // namespace shimmy::report
