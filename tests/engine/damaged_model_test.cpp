// Files whose values llama.cpp answers with an assertion: a failed call with the reason, and the process goes on.
#include "base/error.h"
#include "engine/layout/tensor_plan.h"
#include "engine/predict/estimate.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

#include <cstring>

namespace shimmy::engine {
namespace {

// The embedded model with another value of a key that holds a u32.
void write_with(const fs::path & file, const std::string & key, uint32_t value) {
    std::string bytes = read_file(TINY_MOE);
    const size_t at = bytes.find(key);
    ASSERT_NE(at, std::string::npos) << key;
    std::memcpy(bytes.data() + at + key.size() + sizeof(uint32_t), &value, sizeof(value));  // behind its type
    write_file_atomic(file, bytes);
}

std::string error_of(const std::function<void()> & action) {
    try {
        action();
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

class DamagedModel : public ::testing::TestWithParam<std::pair<const char *, uint32_t>> {};

TEST_P(DamagedModel, IsRefusedInOneLineAndTheNextModelRuns) {
    const TempDir dir;
    const auto [key, value] = GetParam();
    const fs::path file = dir / "damaged.gguf";
    write_with(file, key, value);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = file.string();
    for (const bool check_fit : {true, false}) {
        options.check_fit = check_fit;
        const std::string error = error_of([&] { const Model model(options); });
        EXPECT_EQ(error.find(file.string() + ": "), 0U) << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    }
    const Model whole(options_for("cpu", Placement::baseline()));
    EXPECT_GT(whole.n_vocab(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Values, DamagedModel,
    ::testing::Values(std::pair{"deepseek.rope.dimension_count", 2U}, std::pair{"deepseek.expert_used_count", 0U},
                      std::pair{"deepseek.attention.head_count_kv", 3U}, std::pair{"deepseek.attention.head_count", 0U},
                      std::pair{"deepseek.embedding_length", 0U}, std::pair{"deepseek.block_count", 0U},
                      std::pair{"deepseek.context_length", 0U}));

TEST(DamagedModelError, NamesTheAssertionWithoutItsFolder) {
    const TempDir dir;
    write_with(dir / "m.gguf", "deepseek.rope.dimension_count", 2);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = (dir / "m.gguf").string();
    const std::string error = error_of([&] { (void)estimate_memory(options); });
    EXPECT_NE(error.find(": deepseek.cpp:"), std::string::npos) << error;
    EXPECT_NE(error.find("GGML_ASSERT(n_embd_head == n_rot) failed"), std::string::npos) << error;
}

}  // namespace
}  // namespace shimmy::engine
