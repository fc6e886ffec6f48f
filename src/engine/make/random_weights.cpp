#include "engine/make/random_weights.h"

#include "base/process/interrupt.h"
#include "engine/layout/tensor_types.h"

#include <algorithm>
#include <cmath>

namespace shimmy::engine {

namespace {

// 8191 is prime; with blocks of 256 that is 2.1 million weights: more than the caches hold, and soon quantized even to
// the slow IQ types.
constexpr int64_t N_POOL_BLOCKS = 8191;
constexpr int64_t LARGEST_BLOCK = 256;
constexpr int64_t QUANTIZE_STEP_BLOCKS = 512;  // between two looks at Ctrl-C
constexpr float BIAS_SPREAD = 0.01F;

}  // namespace

WeightKind weight_kind(const std::string & tensor_name) {
    const auto contains = [&](const char * part) { return tensor_name.find(part) != std::string::npos; };
    if (contains("ssm_a")) return WeightKind::decay;
    if (tensor_name.ends_with(".bias") || contains("attn_sinks")) return WeightKind::bias;
    if (contains("norm") || contains("rope_") || tensor_name.ends_with(".scale")) return WeightKind::one;
    return WeightKind::matrix;
}

RandomWeights::RandomWeights(uint64_t seed) : random_(seed), normal_(N_POOL_BLOCKS * LARGEST_BLOCK) {
    std::normal_distribution<float> normal;
    for (float & value : normal_)
        value = normal(random_);
}

const std::vector<std::byte> & RandomWeights::pool(const std::string & type_name, int64_t row_length,
                                                   uint64_t n_weights) {
    std::vector<std::byte> & pool = pools_[{type_name, row_length}];
    if (!pool.empty()) return pool;
    const ggml_type type = tensor_type_named(type_name);
    const auto n_wanted = static_cast<int64_t>(n_weights / LARGEST_BLOCK) + 1;
    const int64_t n_blocks = std::min(N_POOL_BLOCKS, n_wanted);
    const float spread = 1.0F / std::sqrt(static_cast<float>(row_length));
    std::vector<float> scaled(normal_.begin(), normal_.begin() + n_blocks * LARGEST_BLOCK);
    for (float & value : scaled)
        value *= spread;
    pool.resize(ggml_row_size(type, static_cast<int64_t>(scaled.size())));
    // Blocks of the pool stand for rows: the quantizers look at one block at a time. The smallest types want an
    // importance matrix; one that weighs all columns alike is what random weights deserve.
    const std::vector<float> importance(LARGEST_BLOCK, 1.0F);
    for (int64_t block = 0; block < n_blocks; block += QUANTIZE_STEP_BLOCKS) {
        check_interrupted();
        const int64_t n_step = std::min(QUANTIZE_STEP_BLOCKS, n_blocks - block);
        ggml_quantize_chunk(type, scaled.data(), pool.data(), block * LARGEST_BLOCK, n_step, LARGEST_BLOCK,
                            importance.data());
    }
    return pool;
}

size_t RandomWeights::random_offset(const std::string & type_name, size_t pool_bytes) {
    const size_t block_bytes = ggml_type_size(tensor_type_named(type_name));
    return std::uniform_int_distribution<size_t>(0, pool_bytes / block_bytes - 1)(random_) * block_bytes;
}

std::vector<float> RandomWeights::values(WeightKind kind, int64_t row_length, uint64_t n) {
    if (kind == WeightKind::one) return std::vector<float>(n, 1.0F);
    if (kind == WeightKind::decay) return std::vector<float>(n, -1.0F);
    const float spread = kind == WeightKind::bias ? BIAS_SPREAD : 1.0F / std::sqrt(static_cast<float>(row_length));
    std::vector<float> result(n);
    size_t at = std::uniform_int_distribution<size_t>(0, normal_.size() - 1)(random_);
    for (float & value : result) {
        value = normal_[at] * spread;
        at = (at + 1) % normal_.size();
    }
    return result;
}

}  // namespace shimmy::engine
