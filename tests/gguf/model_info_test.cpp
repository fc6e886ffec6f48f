#include "gguf/model_info.h"

#include "base/error.h"
#include "gguf/active_share.h"
#include "gguf/expert_tensors.h"
#include "gguf_bytes.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <functional>
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
    EXPECT_TRUE(languages(std::vector<int32_t>{1, 2}).empty());
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

namespace {

// A model of metadata alone.
class Keys {
public:
    template <typename T>
    Keys & set(const std::string & key, T value) {
        add_.push_back([key, value](GgufBytes & file) { file.key(key, value); });
        return *this;
    }

    // Throws what read_model_info throws.
    ModelInfo read() const {
        const TempDir dir;
        GgufBytes file(0, add_.size() + 1);
        file.key("general.architecture", "toy");
        for (const auto & add : add_)
            add(file);
        file.write(dir / "keys.gguf");
        return read_model_info(dir / "keys.gguf");
    }

    std::string error() const {
        try {
            read();
        } catch (const Error & error) {
            const std::string message = error.what();
            return message.substr(message.find(".gguf: ") + 7);
        }
        return "";
    }

private:
    std::vector<std::function<void(GgufBytes &)>> add_;
};

}  // namespace

TEST(ModelInfo, EveryNumberHasItsOwnKey) {
    const ModelInfo info = Keys()
                               .set("toy.block_count", 11U)
                               .set("toy.leading_dense_block_count", 2U)
                               .set("toy.context_length", 4096U)
                               .set("toy.embedding_length", 96U)
                               .set("toy.feed_forward_length", 300U)
                               .set("toy.expert_feed_forward_length", 70U)
                               .set("toy.attention.head_count", 12U)
                               .set("toy.attention.head_count_kv", 3U)
                               .set("toy.attention.key_length", 16U)
                               .set("toy.expert_count", 9U)
                               .set("toy.expert_used_count", 5U)
                               .set("toy.expert_shared_count", 1U)
                               .set("toy.attention.sliding_window", 128U)
                               .set("toy.vocab_size", 77U)
                               .set("general.description", "of numbers")
                               .set("tokenizer.ggml.model", "gpt2")
                               .set("tokenizer.chat_template", "{{ messages }}")
                               .read();
    EXPECT_EQ(info.arch, "toy");
    EXPECT_EQ(info.n_layers, 11);
    EXPECT_EQ(info.n_layers_dense_lead, 2);
    EXPECT_EQ(info.n_ctx_train, 4096);
    EXPECT_EQ(info.n_embd, 96);
    EXPECT_EQ(info.n_ff, 300);
    EXPECT_EQ(info.n_ff_exp, 70);
    EXPECT_EQ(info.n_head, 12);
    EXPECT_EQ(info.n_head_kv, 3);
    EXPECT_EQ(info.head_size, 16);
    EXPECT_EQ(info.n_expert, 9);
    EXPECT_EQ(info.n_expert_used, 5);
    EXPECT_EQ(info.n_expert_shared, 1);
    EXPECT_EQ(info.n_swa, 128);
    EXPECT_EQ(info.n_vocab, 77);
    EXPECT_EQ(info.description, "of numbers");
    EXPECT_EQ(info.tokenizer, "gpt2");
    EXPECT_EQ(info.chat_template, "{{ messages }}");
    EXPECT_EQ(info.expert_bytes_per_layer, std::vector<uint64_t>(11, 0));
    EXPECT_FALSE(info.cpu_moe_applies());
    EXPECT_EQ(info.bits_per_weight, 0.0);
    EXPECT_EQ(info.quantization, "") << "no tensors, no file type";
}

TEST(ModelInfo, WhatIsNotGivenFollowsFromTheRest) {
    const ModelInfo info = Keys()
                               .set("toy.embedding_length", 96U)
                               .set("toy.attention.head_count", 12U)
                               .set("toy.vocab_size", 77U)
                               .set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c"})
                               .read();
    EXPECT_EQ(info.n_head_kv, 12);
    EXPECT_EQ(info.head_size, 8);
    EXPECT_EQ(info.n_vocab, 3) << "the tokens that are there";
    EXPECT_EQ(Keys().set("toy.embedding_length", 96U).read().head_size, 0) << "no heads";
    EXPECT_EQ(Keys().set("toy.embedding_length", 96U).set("toy.attention.head_count", 1U).read().head_size, 96);
}

TEST(ModelInfo, ValuesLieWithinTheLimitsOfLlamaCpp) {
    EXPECT_EQ(Keys().set("toy.context_length", 2147483648U).read().n_ctx_train, 2147483648);
    EXPECT_EQ(Keys().set("toy.context_length", 2147483649U).error(),
              "metadata key toy.context_length is 2147483649: must be from 0 to 2147483648");
    EXPECT_EQ(Keys().set("toy.expert_count", 1024U).read().n_expert, 1024);
    EXPECT_EQ(Keys().set("toy.expert_count", 1025U).error(),
              "metadata key toy.expert_count is 1025: must be from 0 to 1024");
    EXPECT_EQ(Keys().set("toy.expert_used_count", 1025U).error(),
              "metadata key toy.expert_used_count is 1025: must be from 0 to 1024");
    EXPECT_EQ(Keys().set("toy.expert_shared_count", 1025U).error(),
              "metadata key toy.expert_shared_count is 1025: must be from 0 to 1024");
    EXPECT_EQ(Keys().set("toy.attention.head_count", std::vector<int32_t>{0, 8, 4}).read().n_head, 8);
    EXPECT_EQ(Keys().set("toy.attention.head_count", std::vector<int32_t>{8, -1}).error(),
              "metadata key toy.attention.head_count is -1: must be from 0 to 2147483648");
    EXPECT_EQ(Keys().set("toy.expert_count", 4U).set("toy.expert_used_count", 4U).error(), "");
    EXPECT_EQ(Keys().set("toy.expert_count", 4U).set("toy.expert_used_count", 5U).error(),
              "uses 5 experts per token of 4: not possible");
}

// Two layers of experts of different sizes, beside dense tensors of three types.
TEST(ModelInfo, ExpertsAndTypesAreCountedByLayerAndSize) {
    const TempDir dir;
    const std::filesystem::path path = dir / "toy.gguf";
    GgufBytes(6, 6)
        .key("general.architecture", "toy")
        .key("general.file_type", 9999U)  // unknown: the type of most bytes stands for it
        .key("toy.block_count", 2U)
        .key("toy.expert_count", 2U)
        .key("toy.expert_used_count", 1U)
        .key("toy.feed_forward_length", 64U)
        .tensor("token_embd.weight", {32, 3}, 0, 0)                  // f32: 384 bytes
        .tensor("blk.0.ffn_down_exps.weight", {64, 32, 2}, 384, 8)   // q8_0: 4096 / 32 * 34 = 4352
        .tensor("blk.1.ffn_down_exps.weight", {32, 32, 2}, 4736, 8)  // 2176
        .tensor("blk.1.ffn_up_exps.weight", {32, 32, 2}, 6912, 1)    // f16: 4096
        .tensor("blk.7.ffn_up_exps.weight", {32, 1, 2}, 11008, 1)    // beyond the layers: 128
        .tensor("output.weight", {32, 3}, 11136, 1)                  // 192
        .data(11328)
        .write(path);
    const ModelInfo info = read_model_info(path);
    EXPECT_EQ(info.expert_bytes_per_layer, (std::vector<uint64_t>{4352, 2176 + 4096}));
    EXPECT_EQ(info.expert_bytes, 4352U + 2176 + 4096 + 128);
    EXPECT_EQ(info.n_expert_tensors, 4U);
    EXPECT_EQ(info.n_ff, 0) << "no layer is dense";
    EXPECT_EQ(info.n_ff_exp, 64) << "of the largest down matrix";
    EXPECT_EQ(info.n_tensors, 6U);
    EXPECT_EQ(info.tensor_bytes, 11328U);
    EXPECT_EQ(info.size_bytes, std::filesystem::file_size(path));
    ASSERT_EQ(info.types.size(), 3U);
    EXPECT_EQ(info.types[0].type, "Q8_0");
    EXPECT_EQ(info.types[0].n_tensors, 2U);
    EXPECT_EQ(info.types[0].bytes, 6528U);
    EXPECT_EQ(info.types[1].type, "F16");
    EXPECT_EQ(info.types[1].n_tensors, 3U);
    EXPECT_EQ(info.types[1].bytes, 4416U);
    EXPECT_EQ(info.types[2].type, "F32");
    EXPECT_EQ(info.types[2].bytes, 384U);
    EXPECT_EQ(info.dominant_type, "Q8_0");
    EXPECT_EQ(info.quantization, "Q8_0");
    EXPECT_EQ(info.n_params, 96U + 4096 + 2048 + 2048 + 64 + 96);
    EXPECT_EQ(info.bits_per_weight, 11328.0 * 8 / (96 + 4096 + 2048 + 2048 + 64 + 96));
    EXPECT_EQ(info.n_active_params, 96U + (4096 + 2048 + 2048 + 64) / 2 + 96);
    EXPECT_EQ(info.bytes_per_token, 128U + (4352 + 2176 + 4096 + 128) / 2 + 192) << "one row of the embedding";
}

TEST(ModelInfo, AllExpertsAreActiveWhereNoneAreChosen) {
    const TempDir dir;
    GgufBytes(3, 1)
        .key("general.architecture", "toy")
        .tensor("blk.0.ffn_up_exps.weight", {8, 8, 4}, 0)
        .tensor("token_embd.weight", {32}, 1024)  // has no rows
        .tensor("output.weight", {8, 4}, 1152)
        .data(1280)
        .write(dir / "toy.gguf");
    const ModelInfo info = read_model_info(dir / "toy.gguf");
    EXPECT_EQ(info.n_active_params, info.n_params);
    EXPECT_EQ(info.bytes_per_token, info.tensor_bytes);
    EXPECT_EQ(info.n_layers, 0);
    EXPECT_TRUE(info.expert_bytes_per_layer.empty());
}

TEST(ActiveShare, NoMoreExpertsAreReadThanATensorHas) {
    const TempDir dir;
    const auto share = [&](const std::vector<int32_t> & n_used) {
        GgufBytes(2, 2)
            .key("general.architecture", "toy")
            .key("toy.expert_used_count", n_used)
            .tensor("blk.0.ffn_up_exps.weight", {8, 4, 4}, 0)
            .tensor("blk.5.ffn_up_exps.weight", {8, 4, 2}, 512)
            .data(768)
            .write(dir / "toy.gguf");
        const GgufFile file(dir / "toy.gguf");
        const ActiveShare active(file);
        return std::pair(active.elements(file.tensors()[0]), active.bytes(file.tensors()[1]));
    };
    EXPECT_EQ(share({1}), std::pair(uint64_t{32}, uint64_t{128}));
    EXPECT_EQ(share({3}), std::pair(uint64_t{96}, uint64_t{256})) << "both of two";
    EXPECT_EQ(share({0}), std::pair(uint64_t{0}, uint64_t{0}));
    EXPECT_EQ(share({-1}), std::pair(uint64_t{0}, uint64_t{0})) << "hostile";
    EXPECT_EQ(share({2, 1}), std::pair(uint64_t{64}, uint64_t{128})) << "layers beyond the list are as its last";
}

TEST(ActiveShare, TensorsOfOneExpertAreReadAsOftenAsItIsChosen) {
    const TempDir dir;
    GgufBytes(2, 3)
        .key("general.architecture", "toy")
        .key("toy.expert_count", 8U)
        .key("toy.expert_used_count", 2U)
        .tensor("blk.0.ffn_up.7.weight", {8, 4}, 0)
        .tensor("blk.0.ffn_up.weight", {8, 4}, 128)
        .data(256)
        .write(dir / "toy.gguf");
    const GgufFile file(dir / "toy.gguf");
    const ActiveShare active(file);
    EXPECT_EQ(active.elements(file.tensors()[0]), 8U) << "two of eight tokens";
    EXPECT_EQ(active.bytes(file.tensors()[0]), 32U);
    EXPECT_EQ(active.elements(file.tensors()[1]), 32U) << "a dense layer's";
}

TEST(ExpertTensors, OfOneExpertAlone) {
    for (const char * name : {"blk.1.ffn_gate.0.weight", "blk.11.ffn_up.127.weight", "blk.0.ffn_down.7.weight"})
        EXPECT_TRUE(is_tensor_of_one_expert(name)) << name;
    for (const char * name : {"blk.1.ffn_gate.weight", "blk.1.ffn_gate..weight", "blk.1.ffn_gate.x.weight",
                              "blk.1.ffn_gate.7.bias", "blk.1.ffn_gate_inp.weight", "blk.1.ffn_up_exps.weight"})
        EXPECT_FALSE(is_tensor_of_one_expert(name)) << name;
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
    EXPECT_EQ(layer_of("blk.0.x"), 0);
    EXPECT_EQ(layer_of("blk.-5.x"), -1);
    EXPECT_EQ(layer_of("blk.3x.ffn"), -1);
    EXPECT_EQ(layer_of("blk.99999999999.ffn"), -1);
    EXPECT_EQ(layer_of("enc.blk.1.ffn"), -1);
    EXPECT_FALSE(is_expert_tensor("blk.3.ffn_down.weight"));
}

}  // namespace shimmy::gguf
