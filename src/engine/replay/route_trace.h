// A recorded routing: which experts every token chose in every layer. Read from the CSV "route_trace v1" that
// libggml-moe writes (GGML_MOE_TRACE, --expert-trace); others publish traces of real models in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

namespace shimmy::engine {

// What one batch needs of one layer.
struct LayerChoice {
    int layer = 0;
    std::vector<int> experts;  // distinct, in the order of their first use
    std::vector<int> tokens;   // routed to each of them
};

// A prompt, or one token: the layers in the order in which they are computed.
struct TraceBatch {
    bool is_decode = false;
    int n_tokens = 0;
    std::vector<LayerChoice> layers;
};

struct RouteTrace {
    std::vector<TraceBatch> batches;
    std::map<int, uint64_t> expert_bytes;  // by layer: all matrices of one expert
    std::map<int, int> n_expert;           // by layer: one more than the highest that is known

    size_t n_decode_tokens() const;
    uint64_t total_bytes() const;  // of all experts
};

// Throws Error with the file and line of what is wrong. `n_expert`: of a layer, where the file does not say (0:
// unknown).
RouteTrace read_route_trace(const std::filesystem::path & file, int n_expert = 0);

}  // namespace shimmy::engine
