// LoRA adapters: what they compute is what the model computes with their product added to its weights.
#include "adapter.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

std::vector<float> log_probabilities(const std::string & path, const std::vector<std::string> & llama_args) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = path;
    options.llama_args = llama_args;
    Model model(options);
    return model.log_probabilities(eval_tokens(model, 64));
}

TEST(Adapter, IsAddedToTheWeights) {
    constexpr size_t N_VOCAB = 2048;
    const TempDir dir;
    const Adapter adapter(TINY_MOE);
    const std::string file = adapter.write(dir / "adapter.gguf");
    const std::vector<float> plain = log_probabilities(TINY_MOE, {});
    const std::vector<float> adapted = log_probabilities(TINY_MOE, {"--lora", file});
    EXPECT_GT(mean_kl(plain, adapted, N_VOCAB), 0.05);
    EXPECT_LT(mean_kl(log_probabilities(adapter.write_merged(dir / "merged.gguf"), {}), adapted, N_VOCAB), 1e-4);
    EXPECT_EQ(log_probabilities(TINY_MOE, {"--lora-scaled", file + ":0"}), plain);
    EXPECT_EQ(log_probabilities(TINY_MOE, {"--lora-scaled", file + ":1"}), adapted);
    const std::vector<float> half = log_probabilities(TINY_MOE, {"--lora-scaled", file + ":0.5"});
    EXPECT_GT(mean_kl(plain, half, N_VOCAB), 1e-3);
    EXPECT_LT(mean_kl(plain, half, N_VOCAB), mean_kl(plain, adapted, N_VOCAB));
}

}  // namespace
}  // namespace shimmy::engine
