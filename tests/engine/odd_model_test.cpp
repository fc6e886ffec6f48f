// Files that people have and that are unlike most: each is run, or refused in a line with the way out.
#include "base/error.h"
#include "engine/layout/tensor_plan.h"
#include "engine/make/quantize.h"
#include "engine/predict/estimate.h"
#include "error_of.h"
#include "gguf/problems.h"
#include "rewritten_model.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

#include <cmath>

namespace shimmy::engine {
namespace {

class OddModel : public ::testing::Test {
protected:
    LoadOptions load(const std::string & path) const {
        LoadOptions options = options_for("cpu", Placement::baseline());
        options.path = path;
        options.n_threads = 1;
        return options;
    }

    static std::string greedy(Model & model, int n_tokens = 12) {
        SamplingOptions sampling;
        sampling.temperature = 0.0F;
        return model.generate("Once upon a time", n_tokens, sampling).text;
    }

    std::string refusal(const std::string & path) const {
        const std::string error = error_of([&] {
            Model model(load(path));
            (void)greedy(model);
        });
        EXPECT_EQ(error.rfind(path + ": ", 0), 0U) << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
        return error;
    }

    TempDir dir_;
    RewrittenModel model_{TINY_MOE};
};

TEST_F(OddModel, WrittenAgainIsTheSameModel) {
    Model plain(load(TINY_MOE));
    Model again(load(model_.write(dir_ / "m.gguf")));
    EXPECT_EQ(greedy(again), greedy(plain));
}

TEST_F(OddModel, WeightsAtOddAddressesAreReadIntoMemory) {
    Model plain(load(TINY_MOE));
    const std::string text = greedy(plain);
    for (const uint64_t alignment : {8, 16}) {
        bool odd = false;
        for (size_t n = 0; n < 32 && !odd; n += 8) {
            model_.set("general.description", std::string(n, 'x'));
            const std::string path = model_.write(dir_ / "m.gguf", alignment);
            odd = gguf::GgufFile(path).tensors().front().offset_bytes % 32 != 0;
            if (!odd) continue;
            Model model(load(path));
            EXPECT_EQ(greedy(model), text) << alignment;
        }
        EXPECT_TRUE(odd) << alignment;
    }
}

TEST_F(OddModel, OfAnotherAlignmentIsQuantizedToAFileThatRuns) {
    for (const uint64_t alignment : {16, 4096}) {
        QuantizeOptions options;
        options.input = model_.write(dir_ / "m.gguf", alignment);
        options.output = dir_ / "out.gguf";
        options.type = "Q8_0";
        quantize(options);
        const gguf::GgufFile made(options.output);
        EXPECT_EQ(made.metadata().find_int("general.alignment"), 32);
        EXPECT_TRUE(gguf::can_be_mapped(made));
        Model model(load(options.output.string()));
        EXPECT_NE(greedy(model), "");
    }
}

TEST_F(OddModel, ABrokenTemplateIsNeededByConversationsAlone) {
    model_.set("tokenizer.chat_template", "{% for m in messages %}{{ m.content");
    const std::string path = model_.write(dir_ / "m.gguf");
    Model model(load(path));
    Model plain(load(TINY_MOE));
    EXPECT_EQ(greedy(model), greedy(plain));
    EXPECT_TRUE(model.has_chat_template());
    const std::string error = error_of([&] { model.apply_chat_template({{"user", "hi"}}); });
    EXPECT_EQ(error.rfind(path + ": its chat template cannot be read: ", 0), 0U) << error;
    EXPECT_NE(error.find("--raw"), std::string::npos) << error;
    EXPECT_EQ(error.find("std::exception"), std::string::npos) << error;
}

TEST_F(OddModel, ATemplateThatRaisesSaysWhy) {
    model_.set("tokenizer.chat_template", "{{ raise_exception('no system role') }}");
    const std::string path = model_.write(dir_ / "m.gguf");
    Model model(load(path));
    const std::string error = error_of([&] { model.apply_chat_template({{"user", "hi"}}); });
    EXPECT_EQ(error.rfind(path + ": its chat template ", 0), 0U) << error;
    EXPECT_NE(error.find("no system role"), std::string::npos) << error;
}

TEST_F(OddModel, WhatCouldNotBeReadOfTheResultIsNotQuantized) {
    QuantizeOptions options;
    options.input = model_.set("tokenizer.chat_template", 3U).write(dir_ / "m.gguf");
    options.output = dir_ / "out.gguf";
    options.type = "Q8_0";
    EXPECT_NE(error_of([&] { quantize(options); }).find("m.gguf: metadata key tokenizer.chat_template is u32"),
              std::string::npos);
    EXPECT_FALSE(fs::exists(options.output));
}

TEST_F(OddModel, WithoutATokenizerHasNoUseForText) {
    const std::string path = model_.set("tokenizer.ggml.model", "none").write(dir_ / "m.gguf");
    EXPECT_NE(refusal(path).find("has no tokenizer"), std::string::npos);
    EXPECT_FALSE(plan_tensors(path, "Q8_0").tensors.empty()) << "to quantize it takes none";
}

TEST_F(OddModel, AVocabularyOfAnotherKindIsRefusedInOneLine) {
    // Of SentencePiece, whose bytes are missing; of RWKV, which finds no token.
    for (const char * kind : {"llama", "rwkv"}) {
        const std::string path = model_.set("tokenizer.ggml.model", kind).write(dir_ / "m.gguf");
        EXPECT_NE(refusal(path).find("convert the model again"), std::string::npos) << kind;
    }
}

// llama.cpp marks tokens of Phi-3 by their text, and knows such a model by its name.
TEST_F(OddModel, ANameOfAnotherVocabularyIsToldInWords) {
    const std::string error = refusal(model_.set("general.name", "Phi-3 tiny").write(dir_ / "m.gguf"));
    EXPECT_NE(error.find("its name or architecture promises (unordered_map::at)"), std::string::npos) << error;
    EXPECT_NE(error.find("convert the model again"), std::string::npos) << error;
}

TEST_F(OddModel, TwoEqualTokensAreNamed) {
    const gguf::GgufFile file(TINY_MOE);
    const auto present = file.metadata().find_strings("tokenizer.ggml.tokens").value();
    std::vector<std::string> tokens(present.begin(), present.end());
    tokens[20] = tokens[30];
    const std::string path = model_.set("tokenizer.ggml.tokens", tokens).write(dir_ / "m.gguf");
    EXPECT_NE(refusal(path).find("tokens 20 and 30"), std::string::npos);
    EXPECT_NE(error_of([&] { plan_tensors(path, "Q8_0"); }).find("tokens 20 and 30"), std::string::npos);
}

TEST_F(OddModel, AnEmbeddingModelWritesNoText) {
    const std::string path = model_.set("deepseek.pooling_type", 1U).write(dir_ / "m.gguf");
    EXPECT_NE(refusal(path).find("embedding model"), std::string::npos);
}

TEST_F(OddModel, WeightsThatAreNoNumbersAreNotAnswered) {
    RewrittenModel::Tensor & norm = model_.tensor("output_norm.weight");
    ASSERT_EQ(norm.type, 0U) << "F32";
    const float nan = std::nanf("");
    for (size_t i = 0; i < norm.data.size(); i += sizeof(nan))
        std::memcpy(norm.data.data() + i, &nan, sizeof(nan));
    EXPECT_NE(refusal(model_.write(dir_ / "m.gguf")).find("not a number"), std::string::npos);
}

TEST_F(OddModel, MoreLayersOnTheCpuThanThereAreIsAllOfThem) {
    LoadOptions options = load(TINY_MOE);
    options.placement = Placement::partial(100);
    Model some(options);
    options.placement = Placement::partial(2'000'000'000);
    Model all(options);
    EXPECT_EQ(all.expert_ram_bytes(), some.expert_ram_bytes());
    EXPECT_GT(all.expert_ram_bytes(), 0U);
}

TEST_F(OddModel, MessagesNameWhatTheUserGave) {
    LoadOptions gone = load("/no/such.gguf");
    gone.name = "my model";
    EXPECT_EQ(error_of([&] { (void)gone.open_file(); }), "my model: no such file");
    LoadOptions options = load(TINY_MOE);
    options.name = "my model";
    options.n_ctx = 100'000;
    EXPECT_EQ(error_of([&] { (void)estimate_memory(options); }).rfind("my model: ", 0), 0U);
}

}  // namespace
}  // namespace shimmy::engine
