// What counts as rounding, and what as a defect.
#include "quality/offload_check.h"

#include <gtest/gtest.h>

namespace shimmy::quality {
namespace {

TEST(OffloadCheck, FloatKernelsHaveTheTighterBound) {
    gguf::ModelInfo f16;
    f16.dominant_type = "F16";
    gguf::ModelInfo q4;
    q4.dominant_type = "Q4_K";
    EXPECT_LT(offload_kld_bound(f16), offload_kld_bound(q4));
    // Below what quantizing to Q4_K_M costs the embedded model (tests/e2e): an error of that size must not pass.
    EXPECT_LT(offload_kld_bound(q4), 1.6e-3);
}

}  // namespace
}  // namespace shimmy::quality
