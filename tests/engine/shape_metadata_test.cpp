// Metadata of models that do not exist: every value in the type that llama.cpp reads, read back by ggml.
#include "engine/layout/shape_metadata.h"

#include "base/error.h"
#include "engine/layout/file_layout.h"
#include "tiny_moe.h"
#include "tiny_shape.h"

#include "llama.h"

#include <gtest/gtest.h>

#include <limits>

namespace shimmy::engine {
namespace {

int64_t key_of(const gguf_context_ptr & context, const std::string & name) {
    return gguf_find_key(context.get(), name.c_str());
}

gguf_type type_of(const gguf_context_ptr & context, const std::string & name) {
    return gguf_get_kv_type(context.get(), key_of(context, name));
}

template <typename T>
std::vector<T> array_of(const gguf_context_ptr & context, const std::string & name) {
    const int64_t key = key_of(context, name);
    const auto * data = static_cast<const T *>(gguf_get_arr_data(context.get(), key));
    return {data, data + gguf_get_arr_n(context.get(), key)};
}

std::vector<std::string> texts_of(const gguf_context_ptr & context, const std::string & name) {
    const int64_t key = key_of(context, name);
    std::vector<std::string> texts;
    for (size_t i = 0; i < gguf_get_arr_n(context.get(), key); ++i)
        texts.emplace_back(gguf_get_arr_str(context.get(), key, i));
    return texts;
}

class ShapeMetadata : public ::testing::Test {
protected:
    // A vocabulary of three tokens, with a key of every kind.
    ShapeMetadata() {
        test::GgufBytes vocab(0, 10);
        vocab.key("general.name", "not the model's")
            .key("tokenizer.ggml.model", "gpt2")
            .key("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c"})
            .key("tokenizer.ggml.token_type", std::vector<int32_t>{1, 3, 1})
            .key("tokenizer.ggml.bos_token_id", 2U)
            .key("tokenizer.some.share", 0.25F)
            .key("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
        vocab.string("tokenizer.ggml.scores").number<uint32_t>(9).number<uint32_t>(6).number<uint64_t>(2);
        vocab.number(-1.0F).number(-2.0F);
        vocab.string("tokenizer.ggml.add_bos_token").number<uint32_t>(7).number<uint8_t>(1);
        vocab.string("tokenizer.ggml.add_eos_token").number<uint32_t>(7).number<uint8_t>(0);
        vocab.write(dir_ / "vocab.gguf");
        shape_.source = (dir_ / "shape.toml").string();
        shape_.name = "Toy";
        shape_.arch = "toy";
        shape_.vocab = "vocab.gguf";
    }

    const TempDir dir_;
    gguf::Shape shape_;
};

TEST_F(ShapeMetadata, NumbersHaveTheTypesThatLlamaCppReads) {
    constexpr int64_t U32 = std::numeric_limits<uint32_t>::max();
    constexpr int64_t I32 = std::numeric_limits<int32_t>::min();
    shape_.metadata = {{"a", int64_t{0}}, {"b", U32}, {"c", U32 + 1}, {"d", int64_t{-1}}, {"e", int64_t{I32}},
                       {"f", I32 - 1},    {"g", 0.5}, {"h", true},    {"i", false},       {"j", std::string("text")}};
    const gguf_context_ptr context = make_metadata(shape_);
    const auto type = [&](const char * name) { return type_of(context, name); };
    EXPECT_EQ(type("a"), GGUF_TYPE_UINT32);
    EXPECT_EQ(type("b"), GGUF_TYPE_UINT32);
    EXPECT_EQ(gguf_get_val_u32(context.get(), key_of(context, "b")), U32);
    EXPECT_EQ(type("c"), GGUF_TYPE_INT64);
    EXPECT_EQ(gguf_get_val_i64(context.get(), key_of(context, "c")), U32 + 1);
    EXPECT_EQ(type("d"), GGUF_TYPE_INT32);
    EXPECT_EQ(gguf_get_val_i32(context.get(), key_of(context, "d")), -1);
    EXPECT_EQ(type("e"), GGUF_TYPE_INT32);
    EXPECT_EQ(gguf_get_val_i32(context.get(), key_of(context, "e")), I32);
    EXPECT_EQ(type("f"), GGUF_TYPE_INT64);
    EXPECT_EQ(gguf_get_val_f32(context.get(), key_of(context, "g")), 0.5F);
    EXPECT_TRUE(gguf_get_val_bool(context.get(), key_of(context, "h")));
    EXPECT_FALSE(gguf_get_val_bool(context.get(), key_of(context, "i")));
    EXPECT_STREQ(gguf_get_val_str(context.get(), key_of(context, "j")), "text");
    EXPECT_STREQ(gguf_get_val_str(context.get(), key_of(context, "general.architecture")), "toy");
    EXPECT_STREQ(gguf_get_val_str(context.get(), key_of(context, "general.type")), "model");
}

TEST_F(ShapeMetadata, ListsKeepTheirValues) {
    shape_.metadata = {{"ints", std::vector<int64_t>{1, -2}},
                       {"floats", std::vector<double>{0.5, 2}},
                       {"flags", std::vector<bool>{true, false, true}},
                       {"texts", std::vector<std::string>{"x", "y"}}};
    const gguf_context_ptr context = make_metadata(shape_);
    EXPECT_EQ(gguf_get_arr_type(context.get(), key_of(context, "ints")), GGUF_TYPE_INT32);
    EXPECT_EQ(array_of<int32_t>(context, "ints"), (std::vector<int32_t>{1, -2}));
    EXPECT_EQ(gguf_get_arr_type(context.get(), key_of(context, "floats")), GGUF_TYPE_FLOAT32);
    EXPECT_EQ(array_of<float>(context, "floats"), (std::vector<float>{0.5F, 2.0F}));
    EXPECT_EQ(gguf_get_arr_type(context.get(), key_of(context, "flags")), GGUF_TYPE_BOOL);
    EXPECT_EQ(array_of<int8_t>(context, "flags"), (std::vector<int8_t>{1, 0, 1}));
    EXPECT_EQ(texts_of(context, "texts"), (std::vector<std::string>{"x", "y"}));
}

TEST_F(ShapeMetadata, TheTokenizerIsCopied) {
    const gguf_context_ptr context = make_metadata(shape_);
    EXPECT_EQ(key_of(context, "general.name"), -1) << "the vocabulary's name is not the model's";
    EXPECT_STREQ(gguf_get_val_str(context.get(), key_of(context, "tokenizer.ggml.model")), "gpt2");
    EXPECT_EQ(gguf_get_val_u32(context.get(), key_of(context, "tokenizer.ggml.bos_token_id")), 2U);
    EXPECT_EQ(gguf_get_val_f32(context.get(), key_of(context, "tokenizer.some.share")), 0.25F);
    EXPECT_TRUE(gguf_get_val_bool(context.get(), key_of(context, "tokenizer.ggml.add_bos_token")));
    EXPECT_FALSE(gguf_get_val_bool(context.get(), key_of(context, "tokenizer.ggml.add_eos_token")));
    EXPECT_EQ(texts_of(context, "tokenizer.ggml.merges"), (std::vector<std::string>{"a b"}));
    EXPECT_EQ(texts_of(context, "tokenizer.ggml.tokens"), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(array_of<int32_t>(context, "tokenizer.ggml.token_type"), (std::vector<int32_t>{1, 3, 1}));
    EXPECT_EQ(array_of<float>(context, "tokenizer.ggml.scores"), (std::vector<float>{-1, -2, 0}))
        << "a score that is missing is 0";
}

TEST_F(ShapeMetadata, TheVocabularyIsPaddedWithUnusedTokens) {
    shape_.n_vocab = 5;
    const gguf_context_ptr context = make_metadata(shape_);
    EXPECT_EQ(texts_of(context, "tokenizer.ggml.tokens"),
              (std::vector<std::string>{"a", "b", "c", "<unused_0>", "<unused_1>"}));
    EXPECT_EQ(array_of<int32_t>(context, "tokenizer.ggml.token_type"),
              (std::vector<int32_t>{1, 3, 1, LLAMA_TOKEN_TYPE_UNUSED, LLAMA_TOKEN_TYPE_UNUSED}));
    EXPECT_EQ(array_of<float>(context, "tokenizer.ggml.scores"), (std::vector<float>{-1, -2, 0, 0, 0}));
    shape_.n_vocab = 3;
    EXPECT_EQ(texts_of(make_metadata(shape_), "tokenizer.ggml.tokens").size(), 3U);
    shape_.n_vocab = 2;
    try {
        make_metadata(shape_);
        FAIL();
    } catch (const UsageError & error) {
        EXPECT_EQ(error.what(), shape_.source + ": vocab_size is 2, but vocabulary 'vocab.gguf' has 3 tokens");
    }
}

TEST_F(ShapeMetadata, TokensWithoutTypesAreNormalOnes) {
    const auto types = [&](auto token_types) {
        test::GgufBytes(0, 2)
            .key("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"})
            .key("tokenizer.ggml.token_type", token_types)
            .write(dir_ / "vocab.gguf");
        const gguf_context_ptr context = make_metadata(shape_);
        EXPECT_EQ(key_of(context, "tokenizer.ggml.scores"), -1) << "none are made up";
        return array_of<int32_t>(context, "tokenizer.ggml.token_type");
    };
    EXPECT_EQ(types(7U), (std::vector<int32_t>{1, 1})) << "no list";
    EXPECT_EQ(types(std::vector<std::string>{"x", "y"}), (std::vector<int32_t>{1, 1})) << "no numbers";
    EXPECT_EQ(types(std::vector<int32_t>{3}), (std::vector<int32_t>{3, 1})) << "too few";
    EXPECT_EQ(types(std::vector<int32_t>{3, 4, 5}), (std::vector<int32_t>{3, 4})) << "too many";
    test::GgufBytes(0, 1).key("general.name", "x").write(dir_ / "vocab.gguf");
    EXPECT_THROW(make_metadata(shape_), Error);
}

TEST_F(ShapeMetadata, WithoutTheVocabularyItsSizeIsKept) {
    shape_.metadata = {{"toy.block_count", int64_t{4}}};
    const gguf_context_ptr from_file = make_metadata_without_vocabulary(shape_);
    EXPECT_EQ(gguf_get_val_u32(from_file.get(), key_of(from_file, "toy.vocab_size")), 3U);
    EXPECT_EQ(gguf_get_val_u32(from_file.get(), key_of(from_file, "toy.block_count")), 4U);
    EXPECT_STREQ(gguf_get_val_str(from_file.get(), key_of(from_file, "tokenizer.ggml.model")), "none");
    EXPECT_EQ(key_of(from_file, "tokenizer.ggml.tokens"), -1);
    shape_.n_vocab = 99;
    const gguf_context_ptr as_said = make_metadata_without_vocabulary(shape_);
    EXPECT_EQ(gguf_get_val_u32(as_said.get(), key_of(as_said, "toy.vocab_size")), 99U);
    shape_.n_vocab = 0;
    test::GgufBytes(0, 1).key("general.name", "x").write(dir_ / "vocab.gguf");
    EXPECT_THROW(make_metadata_without_vocabulary(shape_), Error);
}

TEST_F(ShapeMetadata, OfAFileAllButVocabularyAndLayoutIsKept) {
    test::GgufBytes(0, 6)
        .key("general.architecture", "toy")
        .key("general.alignment", 64U)
        .key("split.count", 1U)
        .key("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"})
        .key("toy.block_count", 4U)
        .key("general.name", "Toy")
        .write(dir_ / "model.gguf");
    const gguf_context_ptr context = make_metadata_without_vocabulary(gguf::GgufFile(dir_ / "model.gguf"));
    EXPECT_EQ(gguf_get_n_kv(context.get()), 5);
    EXPECT_STREQ(gguf_get_val_str(context.get(), key_of(context, "general.name")), "Toy");
    EXPECT_EQ(gguf_get_val_u32(context.get(), key_of(context, "toy.block_count")), 4U);
    EXPECT_EQ(gguf_get_val_u32(context.get(), key_of(context, "toy.vocab_size")), 2U);
    EXPECT_STREQ(gguf_get_val_str(context.get(), key_of(context, "tokenizer.ggml.model")), "none");
    test::GgufBytes(0, 1).key("general.architecture", "toy").write(dir_ / "bare.gguf");
    EXPECT_EQ(gguf_get_n_kv(make_metadata_without_vocabulary(gguf::GgufFile(dir_ / "bare.gguf")).get()), 1);
}

// Offsets are where ggml, and our own reader, find the tensors.
TEST(FileLayout, TensorsAreWhereReadersFindThem) {
    const TempDir dir;
    const TensorPlan plan{{{"a", {3}, "f32", 12}, {"b", {32, 2}, "q8_0", 68}, {"c", {8}, "f32", 32}}};
    const gguf_context_ptr metadata(gguf_init_empty());
    gguf_set_val_str(metadata.get(), "general.architecture", "toy");
    const FileLayout layout = lay_out(metadata.get(), plan);
    std::string bytes(layout.header.begin(), layout.header.end());
    EXPECT_EQ(bytes.size() % 32, 0U);
    EXPECT_EQ(layout.total_bytes, bytes.size() + 32 + 96 + 32);
    bytes.resize(layout.total_bytes);
    write_file_atomic(dir / "model.gguf", bytes);
    const gguf::GgufFile file(dir / "model.gguf");
    ASSERT_EQ(file.tensors().size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(file.tensors()[i].name, plan.tensors[i].name);
        EXPECT_EQ(file.tensors()[i].shape, plan.tensors[i].shape);
        EXPECT_EQ(file.tensors()[i].type, plan.tensors[i].type);
        EXPECT_EQ(file.tensors()[i].offset_bytes, layout.offset_bytes[i]);
    }
    const gguf_context_ptr empty(gguf_init_empty());
    const FileLayout none = lay_out(empty.get(), {});
    EXPECT_EQ(none.total_bytes, none.header.size());
}

}  // namespace
}  // namespace shimmy::engine
