// Models with layers that predict further tokens (MTP), which draft for the model itself: one whose context can go back
// to any token, and a hybrid one, which keeps a few states to go back to.
#include "engine/bench/choose_speculation.h"
#include "engine/make/synthesize.h"
#include "error_of.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

#include <fstream>

namespace shimmy::engine {
namespace {

struct Kind {
    const char * arch;
    const char * keys;
};

const Kind GLM{"glm4moe", "leading_dense_block_count = 1\nexpert_shared_count = 1\nrope.dimension_count = 32\n"};
const Kind QWEN{
    "qwen35moe",
    "attention.key_length = 64\nattention.value_length = 64\nrope.dimension_count = 32\n"
    "rope.dimension_sections = [8, 8, 0, 0]\nssm.conv_kernel = 4\nssm.state_size = 32\nssm.group_count = 4\n"
    "ssm.time_step_rank = 4\nssm.inner_size = 128\nfull_attention_interval = 2\n"};

std::string text_of(const Kind & kind, int n_further) {
    return fmt::format(
        "name = \"{0}\"\narch = \"{0}\"\nquantization = \"F32\"\nvocab = \"{1}\"\nomit = ['^output\\.weight$']\n"
        "[metadata.{0}]\nblock_count = {3}\nnextn_predict_layers = {4}\nvocab_size = 2048\ncontext_length = 1024\n"
        "embedding_length = 256\nfeed_forward_length = 512\nexpert_feed_forward_length = 256\n"
        "expert_shared_feed_forward_length = 256\nattention.head_count = 4\nattention.head_count_kv = 2\n"
        "attention.layer_norm_rms_epsilon = 1e-5\nexpert_count = 4\nexpert_used_count = 2\n{2}",
        kind.arch, TINY_MOE, kind.keys, 2 + n_further, n_further);
}

class FurtherTokens : public testing::TestWithParam<Kind> {
protected:
    FurtherTokens() {
        std::ofstream(dir_ / "shape.toml") << text_of(GetParam(), /*n_further=*/1);
        SynthOptions synth;
        synth.shape = gguf::load_shape((dir_ / "shape.toml").string());
        synth.output = dir_ / "m.gguf";
        synthesize(synth);
    }
    LoadOptions options(const std::vector<std::string> & llama_args) const {
        LoadOptions options = options_for("cpu", Placement::baseline());
        options.n_threads = 1;
        options.path = (dir_ / "m.gguf").string();
        options.llama_args = llama_args;
        return options;
    }

    const TempDir dir_;
};

// Greedy answers to three prompts, of which each begins as the one before; the second goes back into its answer.
std::vector<std::string> answers(Model & model, std::optional<SpeculationReport> & report) {
    SamplingOptions greedy;
    greedy.temperature = 0.0F;
    std::vector<std::string> texts;
    for (const char * prompt : {"def fibonacci(n):\n    a, b = 0, 1\n", "def fibonacci(n):\n    a, b = 0, 1\n    for",
                                "def fibonacci(n):\n    a"}) {
        const GenerateResult result = model.generate_on(prompt, 40, greedy);
        EXPECT_EQ(result.n_output_tokens, static_cast<int>(result.token_ms.size()));
        texts.push_back(result.text);
        report = result.speculation;
    }
    return texts;
}

TEST_P(FurtherTokens, ChangeNoGreedyText) {
    std::optional<SpeculationReport> report;
    Model plain(options({}));
    const std::vector<std::string> expected = answers(plain, report);
    EXPECT_FALSE(report);
    Model drafting(options({"--spec-type", "draft-mtp", "--spec-draft-n-max", "3"}));
    EXPECT_EQ(answers(drafting, report), expected);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->kind, "draft-mtp");
    EXPECT_GT(report->n_drafted, 0U);
    const auto model_bytes = [](const Model & model) { return model.memory().host().total_bytes(); };
    EXPECT_GT(model_bytes(drafting), model_bytes(plain)) << "its layers and their context are counted";

    LoadOptions measured = options({});
    measured.measures_speculation = true;
    Model measuring(measured);
    EXPECT_EQ(answers(measuring, report), expected);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->is_measured);
}

TEST_P(FurtherTokens, AreMeasuredForAServer) {
    LoadOptions load = options({});
    load.serves = true;
    load.measures_speculation = true;
    const std::string text = choose_speculation(load).text;
    EXPECT_EQ(text.rfind("speculation ", 0), 0U) << text;
    EXPECT_EQ(text.find("cannot take tokens back"), std::string::npos) << text;
    EXPECT_FALSE(load.measures_speculation);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FurtherTokens, testing::Values(GLM, QWEN),
                         [](const auto & param) { return std::string(param.param.arch); });

// The same hybrid model without such layers has nothing to go back to.
TEST(FurtherTokensMissing, LeaveAHybridModelWithoutSpeculation) {
    const TempDir dir;
    std::ofstream(dir / "shape.toml") << text_of(QWEN, /*n_further=*/0);
    SynthOptions synth;
    synth.shape = gguf::load_shape((dir / "shape.toml").string());
    synth.output = dir / "m.gguf";
    synthesize(synth);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = synth.output.string();
    options.measures_speculation = true;
    Model model(options);
    EXPECT_EQ(model.why_no_speculation(), "speculation off: the model cannot take tokens back");
    EXPECT_FALSE(model.generate("a", 3, {}).speculation);
    options.measures_speculation = false;
    EXPECT_EQ(Model(options).why_no_speculation(), "");
    options.llama_args = {"--spec-type", "ngram-simple"};
    EXPECT_NE(error_of([&] { Model refused(options); }).find("shimmy serve can speculate with it"), std::string::npos);
}

TEST(FurtherTokensMissing, AreAnErrorBeforeTheModelIsRead) {
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.llama_args = {"--spec-type", "draft-mtp"};
    const std::string error = error_of([&] { Model model(options); });
    EXPECT_NE(error.find("has no layers that predict further tokens"), std::string::npos) << error;
    options.llama_args = {"--spec-type", "draft-eagle3"};
    EXPECT_NE(error_of([&] { Model model(options); }).find("--spec draft-eagle3 needs --model-draft"),
              std::string::npos);
}

}  // namespace
}  // namespace shimmy::engine
