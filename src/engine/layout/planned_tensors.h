// The tensors of a model's file: names, shapes and types, and how large that makes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::engine {

struct PlannedTensor {
    std::string name;            // "blk.3.ffn_up_exps.weight"
    std::vector<int64_t> shape;  // ggml's order: shape[0] runs along a row
    std::string type;            // ggml's name: "q4_K"
    uint64_t bytes = 0;

    uint64_t n_elements() const {
        uint64_t n = 1;
        for (const int64_t size : shape)
            n *= static_cast<uint64_t>(size);
        return n;
    }
};

// A tensor whose rows the wanted type cannot hold, so that the quantizer takes another.
struct Fallback {
    std::string tensor;
    int64_t n_columns = 0;
    std::string wanted;  // ggml's name: "q4_K"
    std::string got;
};

struct TensorPlan {
    std::vector<PlannedTensor> tensors;  // by layer, then by name, as llama.cpp's quantizer orders them
    std::vector<Fallback> fallbacks = {};
    uint64_t total_bytes() const {
        uint64_t total = 0;
        for (const PlannedTensor & tensor : tensors)
            total += tensor.bytes;
        return total;
    }
};

}  // namespace shimmy::engine
