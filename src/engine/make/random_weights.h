// Internal to the engine: random weights in any ggml type, from a pool that is quantized once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace shimmy::engine {

// How a tensor starts out in a model that is about to be trained.
enum class WeightKind {
    matrix,  // normal, standard deviation 1 / sqrt(row length)
    one,     // norms, RoPE factors
    bias,    // normal, standard deviation 0.01
    decay,   // state-space A: negative
};
WeightKind weight_kind(const std::string & tensor_name);

class RandomWeights {
public:
    explicit RandomWeights(uint64_t seed);

    // Quantized weights for rows of `row_length`; `type` is ggml's name. Made at the first call, for a model that has
    // `n_weights` of this kind in all. A large pool is a prime number of blocks, so that rows, whose lengths have small
    // factors, do not repeat in step with it.
    const std::vector<std::byte> & pool(const std::string & type, int64_t row_length, uint64_t n_weights);

    // A place to start reading a pool from: a multiple of its type's block, below its size.
    size_t random_offset(const std::string & type, size_t pool_bytes);

    // F32 values of a small tensor that is not quantized.
    std::vector<float> values(WeightKind kind, int64_t row_length, uint64_t n);

private:
    std::mt19937_64 random_;
    std::vector<float> normal_;  // standard normal, shared by all pools
    std::map<std::pair<std::string, int64_t>, std::vector<std::byte>> pools_;
};

}  // namespace shimmy::engine
