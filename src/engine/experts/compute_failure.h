// Why libggml-moe could not compute: llama.cpp only says that a call failed.
#pragma once

#include <cstdint>
#include <string>

namespace shimmy::engine {

struct ComputeFailures {
    uint64_t count = 0;  // of this process so far
    std::string reason;  // of the last one
};

// None where libggml-moe is not loaded.
ComputeFailures compute_failures();

}  // namespace shimmy::engine
