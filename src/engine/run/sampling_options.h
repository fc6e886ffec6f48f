// How the next token is chosen.
#pragma once

#include <cstdint>

namespace shimmy::engine {

struct SamplingOptions {
    float temperature = 0.7F;  // 0: greedy
    float top_p = 0.9F;
    int top_k = 40;
    float min_p = 0.05F;
    float repeat_penalty = 1.0F;  // 1: off
    uint32_t seed = 42;
};

}  // namespace shimmy::engine
