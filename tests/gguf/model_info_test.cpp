#include "gguf/model_info.h"

#include "base/error.h"
#include "gguf/expert_tensors.h"
#include "gguf_bytes.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <regex>

namespace shimmy::gguf {

namespace {

using test::GgufBytes;

// Two layers, the first dense; 4 experts of 32 x 64, 2 chosen; biases of one expert matrix.
GgufBytes small_moe() {
    return GgufBytes(7, 9)
        .key("general.architecture", "toy")
        .key("general.name", "Toy")
        .key("general.file_type", 0U)
        .key("toy.block_count", 2U)
        .key("toy.leading_dense_block_count", 1U)
        .key("toy.embedding_length", 32U)
        .key("toy.attention.head_count", std::vector<int32_t>{4, 8})  // a value per layer
        .key("toy.expert_count", 4U)
        .key("toy.expert_used_count", 2U)
        .tensor("token_embd.weight", {32, 10}, 0)               // 320
        .tensor("blk.0.ffn_down.weight", {64, 32}, 1280)        // 2048
        .tensor("blk.1.ffn_gate_inp.weight", {32, 4}, 9472)     // 128
        .tensor("blk.1.ffn_up_exps.weight", {32, 64, 4}, 9984)  // 8192
        .tensor("blk.1.ffn_up_exps.bias", {64, 4}, 42752)       // 256
        .tensor("blk.1.ffn_down_exps.weight", {64, 32, 4}, 43776)
        .tensor("blk.1.ffn_up_shexp.weight", {32, 64}, 76544)  // 2048
        .data(84736);
}

}  // namespace

TEST(ModelInfo, CountsParametersAndExperts) {
    const TempDir dir;
    small_moe().write(dir / "toy.gguf");
    const ModelInfo info = read_model_info(dir / "toy.gguf");
    EXPECT_EQ(info.name, "Toy");
    EXPECT_EQ(info.quantization, "F32");
    EXPECT_EQ(info.n_params, 320U + 2048 + 128 + 2 * 8192 + 256 + 2048);
    EXPECT_EQ(info.n_active_params, 320U + 2048 + 128 + (2 * 8192 + 256) / 2 + 2048);
    EXPECT_EQ(info.bytes_per_token, 4 * info.n_active_params) << "the token embedding is the output matrix too";
    EXPECT_EQ(info.n_expert_tensors, 2U);
    EXPECT_EQ(info.n_expert_bias_tensors, 1U);
    EXPECT_EQ(info.expert_bytes, 4U * (2 * 8192 + 256));
    EXPECT_EQ(info.expert_bytes_per_layer, (std::vector<uint64_t>{0, info.expert_bytes}));
    EXPECT_EQ(info.n_layers_dense_lead, 1);
    EXPECT_EQ(info.n_ff_exp, 64);
    EXPECT_EQ(info.n_head, 8);
    EXPECT_EQ(info.head_size, 4);
    EXPECT_EQ(info.bits_per_weight, 32.0);
    EXPECT_TRUE(info.cpu_moe_applies());
    EXPECT_TRUE(info.chat_template.empty());
}

TEST(ModelInfo, LanguagesAreThoseOfTheMetadata) {
    const TempDir dir;
    const auto languages = [&](auto value) {
        GgufBytes(0, 2).key("general.architecture", "toy").key("general.languages", value).write(dir / "toy.gguf");
        return read_model_info(dir / "toy.gguf").languages;
    };
    EXPECT_EQ(languages(std::vector<std::string>{"en", "zh"}), (std::vector<std::string>{"en", "zh"}));
    EXPECT_TRUE(languages(3U).empty())
        << "of another type than llama.cpp's converter writes: no reason to refuse a file";
}

TEST(ModelInfo, OneRowOfTheTokenEmbeddingIsReadPerToken) {
    const TempDir dir;
    GgufBytes(2, 1)
        .key("general.architecture", "toy")
        .tensor("token_embd.weight", {32, 10}, 0)
        .tensor("output.weight", {32, 10}, 1280)
        .data(2560)
        .write(dir / "toy.gguf");
    EXPECT_EQ(read_model_info(dir / "toy.gguf").bytes_per_token, 4U * (32 + 320));
}

TEST(ModelInfo, LayersMayChooseDifferentNumbersOfExperts) {
    const TempDir dir;
    GgufBytes(2, 3)
        .key("general.architecture", "toy")
        .key("toy.expert_count", 4U)
        .key("toy.expert_used_count", std::vector<int32_t>{1, 3})
        .tensor("blk.0.ffn_up_exps.weight", {8, 8, 4}, 0)
        .tensor("blk.1.ffn_up_exps.weight", {8, 8, 4}, 1024)
        .data(2048)
        .write(dir / "toy.gguf");
    const ModelInfo info = read_model_info(dir / "toy.gguf");
    EXPECT_EQ(info.n_expert_used, 3);
    EXPECT_EQ(info.n_active_params, 64U + 3 * 64);
}

TEST(ModelInfo, ADenseModelHasNoExperts) {
    const TempDir dir;
    GgufBytes(1, 1)
        .key("general.architecture", "toy")
        .tensor("blk.0.ffn_up.weight", {32, 64}, 0)
        .data(8192)
        .write(dir / "dense.gguf");
    const ModelInfo info = read_model_info(dir / "dense.gguf");
    EXPECT_FALSE(info.cpu_moe_applies());
    EXPECT_EQ(info.n_params, info.n_active_params);
    EXPECT_EQ(info.name, "dense");
    EXPECT_EQ(info.quantization, "F32");  // no file type: the dominant one
}

TEST(ModelInfo, RefusesValuesThatWouldEndLlamaCpp) {
    const TempDir dir;
    const auto error_of = [&](const char * key, uint32_t value) -> std::string {
        GgufBytes(0, 2).key("general.architecture", "toy").key(key, value).write(dir / "bad.gguf");
        try {
            read_model_info(dir / "bad.gguf");
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(error_of("toy.block_count", 512), "");
    EXPECT_NE(error_of("toy.block_count", 513).find("toy.block_count is 513"), std::string::npos);
    EXPECT_NE(error_of("toy.expert_count", 4000000000U).find("toy.expert_count"), std::string::npos);
    EXPECT_NE(error_of("toy.expert_used_count", 2).find("uses 2 experts per token of 0"), std::string::npos);
    GgufBytes(0, 0).write(dir / "bad.gguf");
    EXPECT_THROW(read_model_info(dir / "bad.gguf"), Error);
}

TEST(ExpertTensors, AreThoseThatCpuMoeMoves) {
    const std::regex llama_cpp(R"(\.ffn_(up|down|gate|gate_up)_(ch|)exps)");
    for (const std::string name :
         {"blk.0.ffn_up_exps.weight", "blk.11.ffn_gate_up_exps.weight", "blk.0.ffn_down_chexps.weight",
          "blk.0.ffn_gate_exps.bias", "blk.0.ffn_gate_inp.weight", "blk.0.ffn_up_shexp.weight", "blk.0.ffn_up.weight",
          "blk.0.ffn_norm_exps.weight", "ffn_up_exps.weight", "blk.0.ffn_gate_up.weight", ".ffn_.ffn_up_exps",
          "blk.0.attn_q.weight", ""}) {
        EXPECT_EQ(is_moved_by_cpu_moe(name), std::regex_search(name, llama_cpp)) << name;
    }
    EXPECT_TRUE(is_expert_tensor("blk.3.ffn_down_exps.weight"));
    EXPECT_FALSE(is_expert_tensor("blk.3.ffn_down_exps.bias"));
    EXPECT_EQ(layer_of("blk.31.ffn_up.weight"), 31);
    EXPECT_EQ(layer_of("output.weight"), -1);
    EXPECT_EQ(layer_of("blk.x.ffn"), -1);
    EXPECT_EQ(layer_of("blk.3"), -1);
}

}  // namespace shimmy::gguf
