#include "quality/offload_check.h"

namespace shimmy::quality {

namespace {

// PROVISIONAL
constexpr double FLOAT_BOUND = 1e-3;
constexpr double QUANTIZED_BOUND = 1e-3;

}  // namespace

double offload_kld_bound(const gguf::ModelInfo & model) {
    const bool is_float = model.dominant_type == "F32" || model.dominant_type == "F16" || model.dominant_type == "BF16";
    return is_float ? FLOAT_BOUND : QUANTIZED_BOUND;
}

}  // namespace shimmy::quality
