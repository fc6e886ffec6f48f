// The bytes that a token reads, by placement, beside what the file says of itself.
#include "engine/predict/placement_plan.h"

#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

TEST(TokenBytes, NoByteIsLostOrReadTwiceInAnyPlacement) {
    const gguf::GgufFile file(TINY_MOE);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    uint64_t host_before = 0;
    for (int n = 0; n <= info.n_layers; ++n) {
        const TokenBytes bytes = token_bytes(file, n);
        EXPECT_EQ(bytes.host + bytes.device, info.bytes_per_token) << n;
        EXPECT_EQ(bytes.n_host_layers, std::max(0, n - static_cast<int>(info.n_layers_dense_lead)));
        if (n > info.n_layers_dense_lead) {
            EXPECT_GT(bytes.host, host_before);
        }
        host_before = bytes.host;
    }
    EXPECT_EQ(host_before,
              info.expert_bytes / static_cast<uint64_t>(info.n_expert) * static_cast<uint64_t>(info.n_expert_used));
}

}  // namespace
}  // namespace shimmy::engine
