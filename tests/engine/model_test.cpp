// The embedded model through the facade: placements agree, tensors lie where they should, templates and tokens work.
#include "engine/run/model.h"

#include "base/error.h"
#include "engine/device/device.h"
#include "engine/predict/estimate.h"
#include "gguf/model_info.h"
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

constexpr const char * PROMPT = "Once upon a time";
const SamplingOptions GREEDY{.temperature = 0.0F};

// Text without an end: tokens of the evaluation text, then what the model makes of them.
std::string prompt_of(const Model & model, size_t n_tokens) {
    std::string text;
    for (const char c : read_file(EVAL_TEXT)) {
        text += c;
        if (model.tokenize(text, true).size() == n_tokens) return text;
    }
    return text;
}

TEST(EngineModel, GenerationEndsWhereItsLimitsSay) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_ctx = 256;
    Model model(options);
    ASSERT_EQ(model.n_ctx(), 256U);
    const std::string prompt = prompt_of(model, 250);
    const GenerateResult full = model.generate(prompt, 100, GREEDY);
    ASSERT_EQ(full.n_prompt_tokens, 250);
    if (full.stop_reason != StopReason::end_of_text) {
        EXPECT_EQ(full.stop_reason, StopReason::context_full);
        EXPECT_EQ(full.n_output_tokens, 6);
        EXPECT_EQ(model.generate(prompt, 6, GREEDY).stop_reason, StopReason::context_full);
        const GenerateResult limited = model.generate(prompt, 5, GREEDY);
        EXPECT_EQ(limited.stop_reason, StopReason::max_tokens);
        EXPECT_EQ(limited.n_output_tokens, 5);
        EXPECT_TRUE(full.text.starts_with(limited.text));
    }
    EXPECT_NO_THROW(model.generate(prompt_of(model, 255), 1, GREEDY));
    try {
        model.generate(prompt_of(model, 256), 1, GREEDY);
        FAIL();
    } catch (const Error & error) {
        EXPECT_STREQ(error.what(),
                     "the prompt has 256 tokens, but the context holds 256 with the reply: shorten it, or raise --ctx "
                     "(up to 512)");
    }
    EXPECT_EQ(model.tokenize(prompt, true).size(),
              model.log_probabilities(model.tokenize(prompt, true)).size() / static_cast<size_t>(model.n_vocab()));
    EXPECT_NO_THROW(model.log_probabilities(std::vector<int32_t>(256, 1)));
    EXPECT_THROW(model.log_probabilities(std::vector<int32_t>(257, 1)), Error);
}

// The shortest prompt there is, and one whose first token is all that tells it from another.
TEST(EngineModel, EveryTokenOfAPromptCounts) {
    Model model(options_for("cpu", Placement::baseline()));
    ASSERT_EQ(model.tokenize("", true).size(), 1U) << "the token that every text begins with";
    const GenerateResult result = model.generate("", 20, GREEDY);
    EXPECT_EQ(result.n_prompt_tokens, 1);
    EXPECT_EQ(result.n_output_tokens, 20);
    const std::string once = model.generate("Once upon", 20, GREEDY).text;
    EXPECT_NE(model.generate("Look upon", 20, GREEDY).text, once);
    EXPECT_NE(model.generate("upon", 20, GREEDY).text, once);
}

TEST(EngineModel, TimesAreThoseOfTheTokens) {
    Model model(options_for("cpu", Placement::baseline()));
    const GenerateResult result = model.generate(PROMPT, 8, GREEDY);
    ASSERT_GE(result.n_output_tokens, 2);
    ASSERT_EQ(result.token_ms.size(), static_cast<size_t>(result.n_output_tokens));
    EXPECT_TRUE(std::is_sorted(result.token_ms.begin(), result.token_ms.end()));
    EXPECT_EQ(result.ttft_ms, result.token_ms.front());
    EXPECT_NEAR(result.decode_ms, result.token_ms.back() - result.token_ms.front(), 1e-6);
    EXPECT_GT(result.prefill_ms, 0.0);
    EXPECT_LE(result.prefill_ms, result.ttft_ms);
    EXPECT_GE(result.total_ms, result.token_ms.back());
    EXPECT_GT(model.load_ms(), 0.0);
    const GenerateResult one = model.generate(PROMPT, 1, GREEDY);
    EXPECT_EQ(one.n_output_tokens, 1);
    EXPECT_EQ(one.decode_ms, 0.0);
    EXPECT_EQ(one.stop_reason, StopReason::max_tokens);
}

TEST(EngineModel, TheCallbackGetsTheTextInPieces) {
    Model model(options_for("cpu", Placement::baseline()));
    std::string pieces;
    const GenerateResult result = model.generate(PROMPT, 20, GREEDY, [&](std::string_view text) {
        EXPECT_FALSE(text.empty());
        pieces += text;
        return true;
    });
    EXPECT_EQ(pieces, result.text);
    EXPECT_EQ(result.n_output_tokens, 20);
}

TEST(EngineModel, SamplersDoWhatTheirNamesSay) {
    Model model(options_for("cpu", Placement::baseline()));
    const auto text = [&](const SamplingOptions & sampling) { return model.generate(PROMPT, 30, sampling).text; };
    const std::string greedy = text(GREEDY);
    SamplingOptions one;
    one.temperature = 1.5F;
    one.top_k = 1;
    EXPECT_EQ(text(one), greedy) << "the likeliest of one";
    one.top_k = 0;
    one.top_p = 1e-6F;
    one.min_p = 0.0F;
    EXPECT_EQ(text(one), greedy) << "no more than the likeliest";
    one.top_p = 1.0F;
    one.min_p = 1.0F;
    EXPECT_EQ(text(one), greedy) << "as likely as the likeliest";
    const SamplingOptions cold{.temperature = 1e-4F, .top_p = 1.0F, .top_k = 0, .min_p = 0.0F};
    EXPECT_EQ(text(cold), greedy) << "as good as no temperature";
    EXPECT_NE(greedy.find(' '), std::string::npos) << "spaces are part of tokens";
    SamplingOptions wild{.temperature = 1.5F, .top_p = 1.0F, .top_k = 0, .min_p = 0.0F};
    wild.seed = 1;
    const std::string first = text(wild);
    EXPECT_NE(first, greedy);
    EXPECT_EQ(text(wild), first) << "the same seed";
    wild.seed = 2;
    EXPECT_NE(text(wild), first);
    SamplingOptions penalized = GREEDY;
    penalized.repeat_penalty = 5.0F;
    EXPECT_NE(text(penalized), greedy) << "a small model repeats itself";
}

// Rows do not depend on how the tokens are cut into batches, nor on where they begin.
TEST(EngineModel, RowsOfProbabilitiesAreThoseOfTheirTokens) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    Model whole(options);
    options.n_batch = 24;
    options.n_ubatch = 24;
    Model cut(options);
    const std::vector<int32_t> tokens = eval_tokens(whole, 60);
    const auto n_vocab = static_cast<size_t>(whole.n_vocab());
    const std::vector<float> reference = whole.log_probabilities(tokens);
    const std::vector<float> in_batches = cut.log_probabilities(tokens);
    ASSERT_EQ(in_batches.size(), reference.size());
    EXPECT_LT(mean_kl(reference, in_batches, n_vocab), 1e-4);
    for (const size_t first : {size_t{1}, size_t{24}, size_t{25}, size_t{59}}) {
        const std::vector<float> tail = whole.log_probabilities(tokens, first);
        ASSERT_EQ(tail.size(), (tokens.size() - first) * n_vocab);
        const std::vector<float> expected(reference.begin() + static_cast<ptrdiff_t>(first * n_vocab), reference.end());
        EXPECT_LT(mean_kl(expected, tail, n_vocab), 1e-4) << first;
    }
    EXPECT_TRUE(whole.log_probabilities(tokens, 60).empty());
    for (const size_t n : {size_t{23}, size_t{24}, size_t{25}, size_t{48}, size_t{49}}) {  // prompts in batches
        const std::string prompt = prompt_of(whole, n);
        EXPECT_EQ(cut.generate(prompt, 1, GREEDY).text, whole.generate(prompt, 1, GREEDY).text) << n;
    }
    EXPECT_TRUE(whole.log_probabilities(tokens, 1000).empty());
}

TEST(EngineModel, RoutingIsRecordedWhenAskedFor) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    EXPECT_TRUE(Model(options).take_routing().empty());
    options.record_routing = true;
    Model model(options);
    EXPECT_TRUE(model.take_routing().empty()) << "the warm-up's choices are nobody's";
    const gguf::ModelInfo info = gguf::read_model_info(TINY_MOE);
    (void)model.log_probabilities(std::vector<int32_t>(10, 5));
    const std::vector<LayerRouting> layers = model.take_routing();
    ASSERT_EQ(static_cast<int64_t>(layers.size()), info.n_layers - info.n_layers_dense_lead);
    for (const LayerRouting & layer : layers) {
        EXPECT_EQ(layer.n_used, info.n_expert_used);
        EXPECT_EQ(static_cast<int64_t>(layer.experts.size()), 10 * info.n_expert_used) << layer.layer;
        for (const uint16_t expert : layer.experts)
            EXPECT_LT(expert, info.n_expert);
    }
    EXPECT_TRUE(model.take_routing().empty());
}

TEST(EngineModel, TextsBeginAsTheModelWasTrained) {
    Model model(options_for("cpu", Placement::baseline()));
    const std::vector<int32_t> tokens = model.tokenize(PROMPT, true);
    if (const auto bos = model.bos_token()) {
        EXPECT_EQ(tokens.front(), *bos);
    }
    EXPECT_GT(tokens.size(), 1U);
    EXPECT_LE(model.tokenize("", true).size(), 1U) << "at most the token that begins a text";
    EXPECT_LE(tokens.size(), std::string(PROMPT).size() + 1);
    EXPECT_EQ(model.n_vocab(), gguf::read_model_info(TINY_MOE).n_vocab);
    EXPECT_EQ(model.device().kind, DeviceKind::cpu);
}

// Sequences that begin alike, whatever is computed together and whatever was computed before.
TEST(EngineModel, ProbabilitiesOfSequencesAreThoseOfEachAlone) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.n_ctx = 256;
    Model alone(options);
    options.n_sharing = 3;
    Model model(options);
    EXPECT_EQ(model.n_ctx(), 256U) << "one context for all";
    const std::vector<int32_t> text = eval_tokens(alone, 150);
    const auto cut = [&](size_t n_shared, size_t from, size_t n) {
        std::vector<int32_t> tokens(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n_shared));
        tokens.insert(tokens.end(), text.begin() + static_cast<std::ptrdiff_t>(from),
                      text.begin() + static_cast<std::ptrdiff_t>(from + n));
        return tokens;
    };
    const auto expect_same = [&](const std::vector<std::vector<int32_t>> & sequences) {
        std::vector<Probe> probes;
        std::vector<double> expected;
        for (size_t s = 0; s < sequences.size(); ++s) {
            const std::vector<float> rows = alone.log_probabilities(sequences[s]);
            for (size_t i = sequences[s].size() / 2; i + 1 < sequences[s].size(); i += 3) {
                probes.push_back({s, i, sequences[s][i + 1]});
                expected.push_back(
                    rows[i * static_cast<size_t>(alone.n_vocab()) + static_cast<size_t>(sequences[s][i + 1])]);
            }
        }
        const std::vector<double> got = model.log_probabilities_of(sequences, probes);
        ASSERT_EQ(got.size(), expected.size());
        for (size_t i = 0; i < got.size(); ++i)
            EXPECT_NEAR(got[i], expected[i], 0.02) << probes[i].sequence << " " << probes[i].position;
    };
    expect_same({cut(60, 70, 20), cut(60, 90, 30), cut(60, 120, 9)});
    expect_same({cut(60, 100, 20), cut(60, 80, 10)});  // what both calls begin with is there already
    expect_same({cut(40, 70, 40), cut(40, 90, 5)});    // less of it
    expect_same({cut(0, 5, 30), cut(0, 50, 12)});      // nothing is shared
    expect_same({cut(80, 80, 1), cut(80, 81, 60)});    // one is nearly the beginning of the other
    expect_same({cut(0, 0, 140), cut(0, 5, 140)});     // too long together
    expect_same({cut(9, 9, 9), cut(9, 20, 9), cut(9, 30, 9), cut(9, 40, 9)});  // more than are computed at once
    EXPECT_THROW(model.log_probabilities_of({std::vector<int32_t>(300, 5)}, {{0, 260, 1}}), Error);
    EXPECT_NO_THROW(model.log_probabilities_of({std::vector<int32_t>(300, 5)}, {{0, 250, 1}})) << "no more is needed";
    SamplingOptions greedy;
    greedy.temperature = 0.0F;
    EXPECT_EQ(model.generate("One, two,", 8, greedy).text, alone.generate("One, two,", 8, greedy).text)
        << "others may use the context meanwhile";
    expect_same({cut(60, 100, 20), cut(60, 80, 10)});
    const std::string told = "A train travels 60 miles per hour for";
    EXPECT_EQ(alone.generate_on(told + " 2.5 hours.", 8, greedy).text,
              alone.generate(told + " 2.5 hours.", 8, greedy).text);
    const GenerateResult again = alone.generate_on(told + " 3 hours.", 8, greedy);
    EXPECT_GT(again.n_reused_tokens, 5);
    EXPECT_EQ(alone.generate(told + " 3 hours.", 8, greedy).n_reused_tokens, 0);
}

}  // namespace
}  // namespace shimmy::engine
