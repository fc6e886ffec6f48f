// What is asked of several sequences at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shimmy::engine {

// How likely `token` is after the first `position` + 1 tokens of a sequence.
struct Probe {
    size_t sequence = 0;
    size_t position = 0;
    int32_t token = 0;
};

}  // namespace shimmy::engine
