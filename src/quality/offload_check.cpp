#include "quality/offload_check.h"
#include "gguf/file_type.h"

namespace shimmy::quality {

namespace {

// Measured on the embedded model, ggml-vulkan (llvmpipe) against ggml-cpu, batches of 16 tokens: 2.8e-6 for F16, where
// both compute in floats and differ in the order of sums, and 3.1e-5 for Q4_K_M, whose activations the CPU rounds to 8
// bits. Thirty times that, as more layers add more rounding. Quantizing to Q4_K_M costs the same model 1.6e-3.
constexpr double FLOAT_BOUND = 1e-4;
constexpr double QUANTIZED_BOUND = 1e-3;

}  // namespace

double offload_kld_bound(const gguf::ModelInfo & model) {
    const bool is_float = gguf::is_float_type(model.dominant_type);
    return is_float ? FLOAT_BOUND : QUANTIZED_BOUND;
}

}  // namespace shimmy::quality
