#include "engine/run/model.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

TEST(GenerateResult, RatesAreOfTokensAndTheGapsBetweenThem) {
    GenerateResult result;
    EXPECT_EQ(result.prefill_tps(), 0.0);
    EXPECT_EQ(result.decode_tps(), std::nullopt);
    result.n_prompt_tokens = 50;
    result.prefill_ms = 200.0;
    EXPECT_DOUBLE_EQ(result.prefill_tps(), 250.0);
    result.n_output_tokens = 1;
    result.decode_ms = 100.0;
    EXPECT_EQ(result.decode_tps(), std::nullopt) << "one token has no gap";
    result.n_output_tokens = 2;
    EXPECT_DOUBLE_EQ(*result.decode_tps(), 10.0);
    result.n_output_tokens = 11;
    EXPECT_DOUBLE_EQ(*result.decode_tps(), 100.0);
    result.decode_ms = 0.0;
    EXPECT_EQ(result.decode_tps(), std::nullopt);
    EXPECT_STREQ(to_string(StopReason::end_of_text), "end_of_text");
    EXPECT_STREQ(to_string(StopReason::max_tokens), "max_tokens");
    EXPECT_STREQ(to_string(StopReason::context_full), "context_full");
    EXPECT_STREQ(to_string(StopReason::stopped), "stopped");
}

}  // namespace
}  // namespace shimmy::engine
