// The embedded model through the facade: placements agree, tensors lie where they should, templates and tokens work.
#include "engine/run/model.h"

#include "base/error.h"
#include "engine/load/device.h"
#include "engine/predict/fit.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>
#include <algorithm>
#include <cmath>

namespace shimmy::engine {
namespace {

bool has_gpu() {
    load_backends();
    const auto all = devices();
    return std::any_of(all.begin(), all.end(), [](const Device & device) { return device.is_gpu(); });
}

TEST(EngineModel, LogProbabilitiesAreDistributionsThatPredictTheText) {
    Model model(options_for("cpu", Placement::baseline()));
    const std::vector<int32_t> tokens = eval_tokens(model, 256);
    const std::vector<float> rows = model.log_probabilities(tokens);
    const auto n_vocab = static_cast<size_t>(model.n_vocab());
    ASSERT_EQ(rows.size(), tokens.size() * n_vocab);
    double nll = 0.0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
        double sum = 0.0;
        for (size_t v = 0; v < n_vocab; ++v)
            sum += std::exp(static_cast<double>(rows[i * n_vocab + v]));
        ASSERT_NEAR(sum, 1.0, 1e-3) << "row " << i;
        nll -= rows[i * n_vocab + static_cast<size_t>(tokens[i + 1])];
    }
    // A trained model: far below the log of the vocabulary that guessing gives.
    EXPECT_LT(nll / static_cast<double>(tokens.size() - 1), 0.5 * std::log(static_cast<double>(n_vocab)));
}

TEST(EngineModel, BaselineAndOffloadAgree) {
    if (!has_gpu()) GTEST_SKIP() << "no GPU device, not even llvmpipe";
    Model baseline(options_for("gpu", Placement::baseline()));
    Model offload(options_for("gpu", Placement::offload()));
    Model cpu(options_for("cpu", Placement::baseline()));
    const std::vector<int32_t> tokens = eval_tokens(baseline, 64);
    const auto n_vocab = static_cast<size_t>(baseline.n_vocab());
    const std::vector<float> reference = baseline.log_probabilities(tokens);
    // Different kernels, so bits may differ; the distributions may not.
    EXPECT_LT(mean_kl(reference, offload.log_probabilities(tokens), n_vocab), 1e-3);
    EXPECT_LT(mean_kl(reference, cpu.log_probabilities(tokens), n_vocab), 1e-3);
}

TEST(EngineModel, OffloadPutsEveryExpertAndNothingElseOnTheHost) {
    if (!has_gpu()) GTEST_SKIP() << "no GPU device, not even llvmpipe";
    Model model(options_for("gpu", Placement::offload()));
    size_t n_experts = 0;
    for (const TensorPlacement & tensor : model.tensors()) {
        n_experts += tensor.is_expert ? 1 : 0;
        // llama.cpp keeps the token embedding on the host in every placement: it is a table lookup.
        const bool host_expected = tensor.is_expert || tensor.name == "token_embd.weight";
        EXPECT_EQ(tensor.host, host_expected) << tensor.name << " in " << tensor.buffer_type;
    }
    EXPECT_GT(n_experts, 0U);
    EXPECT_EQ(n_experts % 3, 0U);  // gate, up and down of each MoE layer
}

TEST(EngineModel, TheEstimateIsWhatALoadThenTakes) {
    for (const std::string device : {"cpu", "gpu"}) {
        if (device == "gpu" && !has_gpu()) GTEST_SKIP() << "no GPU device, not even llvmpipe";
        const LoadOptions options = options_for(device, device == "gpu" ? Placement::offload() : Placement::baseline());
        const MemoryUse estimate = estimate_memory(options);
        const MemoryUse loaded = Model(options).memory();
        EXPECT_EQ(estimate.vram().context_bytes, loaded.vram().context_bytes);
        EXPECT_EQ(estimate.vram().compute_bytes, loaded.vram().compute_bytes);
        EXPECT_NEAR(static_cast<double>(estimate.vram().model_bytes), static_cast<double>(loaded.vram().model_bytes),
                    static_cast<double>(loaded.vram().model_bytes) * 0.001);
    }
}

TEST(EngineModel, TheChatTemplateAndItsTokensRoundTrip) {
    Model model(options_for("cpu", Placement::baseline()));
    ASSERT_TRUE(model.has_chat_template());
    const std::string prompt = model.apply_chat_template({{"user", "Hello there"}});
    EXPECT_NE(prompt.find("Hello there"), std::string::npos);
    EXPECT_GT(prompt.size(), std::string("Hello there").size());
    // Markers are single tokens when special tokens are parsed, and text when they are not.
    EXPECT_LT(model.tokenize(prompt, true).size(), model.tokenize(prompt, false).size());
}

TEST(EngineModel, StoppingFromTheCallbackEndsAtOnce) {
    Model model(options_for("cpu", Placement::baseline()));
    int n_calls = 0;
    const GenerateResult result =
        model.generate(model.apply_chat_template({{"user", "Explain gradient descent in simple terms."}}), 100,
                       SamplingOptions{.temperature = 0.0F}, [&](std::string_view) { return ++n_calls < 3; });
    EXPECT_EQ(n_calls, 3);
    EXPECT_EQ(result.stop_reason, StopReason::stopped);
    EXPECT_LT(result.n_output_tokens, 10);
}

TEST(EngineModel, GreedyTextDoesNotDependOnWhatWasGeneratedBefore) {
    Model model(options_for("cpu", Placement::baseline()));
    const std::string prompt = model.apply_chat_template({{"user", "Explain gradient descent in simple terms."}});
    const SamplingOptions greedy{.temperature = 0.0F};
    const std::string first = model.generate(prompt, 40, greedy).text;
    (void)model.generate("something else entirely", 10, greedy);
    EXPECT_EQ(model.generate(prompt, 40, greedy).text, first);
}

}  // namespace
}  // namespace shimmy::engine
