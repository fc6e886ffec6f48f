// What keeps llama.cpp from working with a file, in small files made for each of it.
#include "gguf/problems.h"

#include "base/error.h"
#include "gguf_bytes.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace shimmy::gguf {
namespace {

using test::GgufBytes;

class Problems : public ::testing::Test {
protected:
    std::vector<std::string> of(const GgufBytes & bytes) {
        bytes.write(dir_ / "m.gguf");
        return find_problems(GgufFile(dir_ / "m.gguf"));
    }

    // The one problem, which must hold the parts.
    void expect(const GgufBytes & bytes, const std::vector<std::string> & parts) {
        const std::vector<std::string> found = of(bytes);
        ASSERT_EQ(found.size(), 1U) << parts.front();
        for (const std::string & part : parts)
            EXPECT_NE(found.front().find(part), std::string::npos) << found.front();
    }

    TempDir dir_;
};

// A model of one tensor with these further keys.
template <typename... Pairs>
GgufBytes model(const Pairs &... pairs) {
    GgufBytes bytes(1, 1 + sizeof...(pairs));
    bytes.key("general.architecture", "toy");
    (bytes.key(pairs.first, pairs.second), ...);
    bytes.tensor("blk.0.ffn_norm.weight", {8}, 0).data(32);
    return bytes;
}

template <typename T>
std::pair<std::string, T> with(const std::string & key, T value) {
    return {"toy." + key, value};
}

TEST_F(Problems, AModelHasNone) {
    EXPECT_EQ(of(model()), std::vector<std::string>());
    EXPECT_EQ(
        of(model(with("block_count", 2U), with("nextn_predict_layers", 1U), with("expert_count", 8U),
                 with("expert_used_count", 2U), with("expert_group_count", 4U), with("expert_group_used_count", 3U),
                 with("attention.head_count", 4U), with("embedding_length", 32U), with("rope.dimension_count", 8U),
                 with("attention.layer_norm_rms_epsilon", 1e-6F))),
        std::vector<std::string>());
}

TEST_F(Problems, OfLayers) {
    expect(model(with("block_count", 0U)), {"toy.block_count is 0", "convert the model again"});
    expect(model(with("context_length", 0U)), {"toy.context_length is 0", "convert the model again"});
    expect(model(with("block_count", 4U), with("nextn_predict_layers", 5U)),
           {"toy.nextn_predict_layers is 5", "the 4 layers"});
}

TEST_F(Problems, OfExperts) {
    expect(model(with("expert_count", 8U), with("expert_used_count", 0U)), {"toy.expert_used_count is 0", "of 8"});
    expect(model(with("expert_count", 8U)), {"toy.expert_used_count is missing"});
    const auto used = with("expert_used_count", 2U);
    const auto experts = with("expert_count", 8U);
    expect(model(experts, used, with("expert_group_count", 8U)), {"toy.expert_group_count is 8"});
    expect(model(experts, used, with("expert_group_count", 3U)), {"toy.expert_group_count is 3"});
    expect(model(experts, used, with("expert_group_count", 1000000U)), {"toy.expert_group_count is 1000000"});
    expect(model(experts, used, with("expert_group_count", 4U)),
           {"toy.expert_group_used_count is missing", "from 1 to 3"});
    expect(model(experts, used, with("expert_group_count", 4U), with("expert_group_used_count", 4U)),
           {"toy.expert_group_used_count is 4"});
    EXPECT_EQ(of(model(experts, used, with("expert_group_count", 1U))), std::vector<std::string>());
    expect(
        GgufBytes(1, 1).key("general.architecture", "toy").tensor("blk.1.ffn_up_exps.weight", {32, 4, 2}, 0).data(1024),
        {"toy.expert_count is missing", "expert tensors"});
    expect(GgufBytes(1, 1).key("general.architecture", "toy").tensor("blk.1.ffn_gate.7.weight", {32, 4}, 0).data(512),
           {"blk.1.ffn_gate.7.weight", "convert the original model again"});
}

TEST_F(Problems, OfPositions) {
    expect(model(with("rope.scaling.type", "foo")), {"toy.rope.scaling.type is 'foo'", "yarn"});
    expect(model(with("rope.scaling.type", "")), {"toy.rope.scaling.type is ''"});
    EXPECT_EQ(of(model(with("rope.scaling.type", "longrope"))), std::vector<std::string>());
    const auto heads = with("attention.head_count", 4U);
    const auto width = with("embedding_length", 32U);
    expect(model(heads, width, with("rope.dimension_count", 9U)), {"toy.rope.dimension_count is 9", "8 values"});
    EXPECT_EQ(of(model(heads, width, with("rope.dimension_count", 9U), with("attention.kv_lora_rank", 16U))),
              std::vector<std::string>())
        << "a compressed cache rotates a part of its own";
}

TEST_F(Problems, OfNumbers) {
    expect(model(with("attention.layer_norm_rms_epsilon", std::nanf(""))),
           {"toy.attention.layer_norm_rms_epsilon is nan"});
    expect(model(with("attention.layer_norm_epsilon", -1e-5F)), {"toy.attention.layer_norm_epsilon is -1e-05"});
    const float infinite = std::numeric_limits<float>::infinity();
    expect(model(with("attention.layer_norm_rms_epsilon", infinite)), {"toy.attention.layer_norm_rms_epsilon is inf"});
    expect(model(with("rope.freq_base", infinite)), {"toy.rope.freq_base is inf"});
    expect(model(with("rope.freq_base", -10000.0F)), {"toy.rope.freq_base is -10000"});
    EXPECT_EQ(of(model(with("attention.clamp_kqv", infinite))), std::vector<std::string>());
    EXPECT_EQ(of(model(with("logit_scale", -2.0F))), std::vector<std::string>());
    const auto limits = [&](float last) { return with("swiglu_clamp_exp", std::vector<float>{7.0F, infinite, last}); };
    EXPECT_EQ(of(model(limits(3.0F))), std::vector<std::string>());
    expect(model(limits(std::nanf(""))), {"toy.swiglu_clamp_exp is nan"});
}

TEST_F(Problems, OfTheVocabulary) {
    const auto tokens = [](const std::string & kind, const std::vector<std::string> & list) {
        return GgufBytes(1, 3)
            .key("general.architecture", "toy")
            .key("tokenizer.ggml.model", kind)
            .key("tokenizer.ggml.tokens", list)
            .tensor("output_norm.weight", {8}, 0)
            .data(32);
    };
    expect(tokens("gpt2", {"a", "b", "c", "b"}), {"tokens 1 and 3", "'b'", "another conversion"});
    EXPECT_EQ(of(tokens("gpt2", {"a", "b", "c"})), std::vector<std::string>());
    EXPECT_EQ(of(tokens("gpt2", {"a", "", "c", ""})), std::vector<std::string>()) << "llama.cpp names empty ones";
    EXPECT_EQ(of(tokens("none", {"a", "a"})), std::vector<std::string>()) << "which is not read";
}

TEST_F(Problems, OfTypes) {
    const auto weight = [](const std::string & name, uint32_t type) {
        return GgufBytes(1, 1).key("general.architecture", "toy").tensor(name, {256, 2}, 0, type).data(8192);
    };
    for (const auto & [type, name] : std::vector<std::pair<uint32_t, std::string>>{
             {28, "F64"}, {24, "I8"}, {25, "I16"}, {26, "I32"}, {27, "I64"}, {9, "Q8_1"}, {15, "Q8_K"}})
        expect(weight("blk.0.ffn_up.weight", type), {"blk.0.ffn_up.weight is " + name, "cannot have"});
    for (const uint32_t type : {0U, 1U, 8U, 12U, 30U})
        EXPECT_EQ(of(weight("blk.0.ffn_up.weight", type)), std::vector<std::string>()) << type;
    EXPECT_EQ(of(weight("blk.0.ffn_gate_tid2eid.weight", 26)), std::vector<std::string>()) << "a table";
    expect(GgufBytes(1, 1).key("general.architecture", "toy").tensor("blk.0.extra.weight", {4, 0}, 0).data(32),
           {"blk.0.extra.weight is empty ([4, 0])"});
}

TEST_F(Problems, OfFilesThatAreNoModels) {
    const auto of_type = [](const char * type, const char * arch) {
        return GgufBytes(1, 2)
            .key("general.architecture", arch)
            .key("general.type", type)
            .tensor("a.weight", {8}, 0)
            .data(32);
    };
    expect(of_type("adapter", "toy"), {"LoRA adapter", "llama-export-lora"});
    expect(of_type("mmproj", "toy"), {"projector"});
    expect(of_type("model", "clip"), {"projector"});
    expect(of_type("imatrix", "toy"), {"importance matrix"});
    expect(GgufBytes(0, 1).key("general.architecture", "toy"), {"no weights"});
    EXPECT_EQ(of(of_type("model", "toy")), std::vector<std::string>());
    expect(GgufBytes(1, 1).key("general.name", "x").tensor("blk.0.ffn_up_exps.weight", {32, 4, 2}, 0).data(1024),
           {"no general.architecture"});
}

TEST_F(Problems, AreSaidWithTheNameOfTheFile) {
    model(with("block_count", 0U)).write(dir_ / "m.gguf");
    try {
        require_usable(GgufFile(dir_ / "m.gguf"));
        FAIL() << "was taken";
    } catch (const Error & error) {
        EXPECT_EQ(std::string(error.what()).rfind((dir_ / "m.gguf").string() + ": toy.block_count is 0", 0), 0U)
            << error.what();
    }
}

TEST_F(Problems, WeightsAtOddAddressesAreNotMapped) {
    // Two tensors of 8 floats at 32 bytes; and at 16, which a file with that alignment may have.
    model().write(dir_ / "m.gguf");
    EXPECT_TRUE(can_be_mapped(GgufFile(dir_ / "m.gguf")));
    bool odd = false;
    for (size_t n = 0; n < 32 && !odd; ++n) {
        GgufBytes bytes(1, 3);
        bytes.key("general.architecture", "toy").key("general.alignment", 8U).key("general.name", std::string(n, 'x'));
        bytes.tensor("blk.0.ffn_norm.weight", {8}, 0).data(64);
        bytes.write(dir_ / "m.gguf");
        const GgufFile file(dir_ / "m.gguf");
        odd = file.tensors().front().offset_bytes % 32 != 0;
        EXPECT_EQ(can_be_mapped(file), !odd);
    }
    EXPECT_TRUE(odd) << "none of the names gave an odd address";
}

}  // namespace
}  // namespace shimmy::gguf
