// Which experts a model's router chose.
#pragma once

#include <cstdint>
#include <vector>

namespace shimmy::engine {

// Of one layer. llama.cpp drops tokens whose output nobody asked for before the last layer's experts, so that layer
// may have fewer tokens than the others.
struct LayerRouting {
    int layer = 0;
    int n_used = 0;                 // experts per token
    std::vector<uint16_t> experts;  // tokens x n_used, row-major; ascending within a token
};

}  // namespace shimmy::engine
