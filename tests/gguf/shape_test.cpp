#include "gguf/shape.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace shimmy::gguf {

namespace {

std::string error_of(const TempDir & dir, const std::string & toml) {
    std::ofstream(dir / "spec.toml") << toml;
    try {
        load_shape((dir / "spec.toml").string());
    } catch (const UsageError & error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST(Shape, ReferenceShapesAreComplete) {
    const std::vector<std::string> names = shape_names();
    for (const char * name : {"phi-3.5-moe", "gpt-oss-20b", "deepseek-moe-16b"})
        EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
    for (const std::string & name : names) {
        const Shape shape = load_shape(name);
        EXPECT_TRUE(shape.expect.n_params && shape.expect.n_active_params) << name;
        EXPECT_TRUE(shape.expect.n_expert && shape.expect.n_expert_used && shape.expect.n_ctx_train &&
                    shape.expect.n_layers)
            << name;
        EXPECT_TRUE(std::filesystem::exists(find_vocab(shape))) << name;
    }
}

TEST(Shape, MetadataKeysAndTypesFollowTheToml) {
    const TempDir dir;
    std::ofstream(dir / "spec.toml") << R"(
name = "Toy"
arch = "toy"
[metadata.toy]
block_count = 4
attention.causal = true
rope.freq_base = 1e4
per_layer = [1, 2, 3, 4]
pattern = [true, false, true, false]
[expect]
experts = 8
parameters = 1000
)";
    const Shape shape = load_shape((dir / "spec.toml").string());
    EXPECT_EQ(shape.find_int("block_count"), 4);
    EXPECT_EQ(*shape.find("toy.attention.causal"), MetadataValue(true));
    EXPECT_EQ(*shape.find("toy.rope.freq_base"), MetadataValue(1e4));
    EXPECT_EQ(*shape.find("toy.per_layer"), MetadataValue(std::vector<int64_t>{1, 2, 3, 4}));
    EXPECT_EQ(shape.expect.n_expert, 8);  // as said
    EXPECT_EQ(shape.expect.n_layers, 4);  // from the metadata
    EXPECT_EQ(shape.expect.n_params, 1000.0);
    EXPECT_EQ(shape.expect.n_ctx_train, std::nullopt);

    const Shape cut = with_layers(shape, 2);
    EXPECT_EQ(cut.find_int("block_count"), 2);
    EXPECT_EQ(*cut.find("toy.per_layer"), MetadataValue(std::vector<int64_t>{1, 2}));
    EXPECT_EQ(*cut.find("toy.pattern"), MetadataValue(std::vector<bool>{true, false}));
    EXPECT_THROW(with_layers(shape, 5), UsageError);
    EXPECT_THROW(with_layers(load_shape("deepseek-moe-16b"), 1), UsageError);  // the first layer has no experts
}

TEST(Shape, BadSpecsAreUsageErrorsWithALine) {
    const TempDir dir;
    EXPECT_NE(error_of(dir, "arch = 'toy'").find("has no 'name'"), std::string::npos);
    EXPECT_NE(error_of(dir, "name = 'x'\narch = 3").find("spec.toml:2: 'arch' has the wrong type"), std::string::npos);
    EXPECT_NE(error_of(dir, "name = 'x'\narch = 'y'\nlayers = 3").find("spec.toml:3: unknown key 'layers'"),
              std::string::npos);
    EXPECT_NE(error_of(dir, "name = 'x'\narch = 'y'\n[metadata]\na = [1, 'b']").find("spec.toml:4:"),
              std::string::npos);
    EXPECT_NE(error_of(dir, "name = 'x").find("spec.toml:1:"), std::string::npos);
    EXPECT_NE(error_of(dir, "name = 'x'\narch = 'y'\n[expect]\ntolerance = 2").find("tolerance"), std::string::npos);
    EXPECT_THROW(load_shape("no-such-model"), UsageError);
    EXPECT_THROW(load_shape("/no/such/file.toml"), Error);
}

namespace {

Shape shape_of(const std::string & toml) {
    const TempDir dir;
    std::ofstream(dir / "spec.toml") << toml;
    return load_shape((dir / "spec.toml").string());
}

const std::string TOY = "name = 'x'\narch = 'toy'\n";

}  // namespace

TEST(Shape, EveryFieldIsRead) {
    const Shape shape = shape_of(R"(
name = "Toy"
arch = "toy"
quantization = "Q8_0"
vocab = "phi-3"
vocab_size = 999
omit = ['a', 'b']
[metadata]
toy.rope.scaling.type = "none"
toy.scales = [0.5, 1.5]
toy.names = ["u", "v"]
toy.flag = false
[expect]
layers = 1
experts = 2
experts_used = 3
experts_shared = 4
context_length = 5
expert_tensors = 6
parameters = 7
active_parameters = 8.5
tolerance = 0.25
)");
    EXPECT_EQ(shape.name, "Toy");
    EXPECT_EQ(shape.arch, "toy");
    EXPECT_EQ(shape.quantization, "Q8_0");
    EXPECT_EQ(shape.vocab, "phi-3");
    EXPECT_EQ(shape.n_vocab, 999);
    EXPECT_EQ(shape.omit, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(*shape.find("toy.rope.scaling.type"), MetadataValue("none"));
    EXPECT_EQ(*shape.find("toy.scales"), MetadataValue(std::vector<double>{0.5, 1.5}));
    EXPECT_EQ(*shape.find("toy.names"), MetadataValue(std::vector<std::string>{"u", "v"}));
    EXPECT_EQ(*shape.find("toy.flag"), MetadataValue(false));
    EXPECT_EQ(shape.find("toy.none"), nullptr);
    EXPECT_EQ(shape.expect.arch, "toy");
    EXPECT_EQ(shape.expect.n_layers, 1);
    EXPECT_EQ(shape.expect.n_expert, 2);
    EXPECT_EQ(shape.expect.n_expert_used, 3);
    EXPECT_EQ(shape.expect.n_expert_shared, 4);
    EXPECT_EQ(shape.expect.n_ctx_train, 5);
    EXPECT_EQ(shape.expect.n_expert_tensors, 6);
    EXPECT_EQ(shape.expect.n_params, 7.0);
    EXPECT_EQ(shape.expect.n_active_params, 8.5);
    EXPECT_EQ(shape.expect.tolerance, 0.25);
}

TEST(Shape, WhatIsNotSaidHasDefaults) {
    const Shape bare = shape_of(TOY);
    EXPECT_EQ(bare.quantization, "Q4_K_M");
    EXPECT_EQ(bare.vocab, "");
    EXPECT_EQ(bare.n_vocab, 0);
    EXPECT_TRUE(bare.omit.empty());
    EXPECT_EQ(bare.expect.tolerance, 0.01);
    EXPECT_EQ(bare.expect.n_expert_shared, std::nullopt) << "without metadata nothing is known";
    const Shape shape = shape_of(TOY +
                                 "[metadata.toy]\nblock_count = 4\nexpert_count = 8\nexpert_used_count = 2\n"
                                 "context_length = 64\n");
    EXPECT_EQ(shape.expect.n_layers, 4);
    EXPECT_EQ(shape.expect.n_expert, 8);
    EXPECT_EQ(shape.expect.n_expert_used, 2);
    EXPECT_EQ(shape.expect.n_expert_shared, 0) << "a model whose metadata names none has none";
    EXPECT_EQ(shape.expect.n_ctx_train, 64);
    EXPECT_EQ(shape_of(TOY + "[metadata.toy]\nexpert_shared_count = 3\n").expect.n_expert_shared, 3);
}

TEST(Shape, BadValuesNameTheirLine) {
    const TempDir dir;
    const auto fails = [&](const std::string & toml, const std::string & part) {
        const std::string message = error_of(dir, toml);
        EXPECT_NE(message.find(part), std::string::npos) << message;
    };
    fails("name = 'x'", "has no 'arch'");
    fails(TOY + "quantization = 3", "spec.toml:3: 'quantization' has the wrong type");
    fails(TOY + "omit = ['a', 1]", "spec.toml:3: 'omit' must be a list of texts");
    fails(TOY + "[metadata]\na = []", "spec.toml:4: a metadata value must be");
    fails(TOY + "[metadata]\na = 1979-05-27", "spec.toml:4: a metadata value must be");
    fails(TOY + "[expect]\nn = 1", "spec.toml:4: unknown key 'n'");
    fails(TOY + "[expect]\nlayers = 'x'", "spec.toml:4: 'layers' has the wrong type");
    fails(TOY + "[expect]\ntolerance = 1.0", "spec.toml:3: 'tolerance' must be");
    fails(TOY + "[expect]\ntolerance = -0.1", "spec.toml:3: 'tolerance' must be");
    fails(TOY + "[metadata.toy]\nblock_count = 'x'", "toy.block_count must be a whole number");
    EXPECT_EQ(error_of(dir, TOY + "omit = []"), "");
    EXPECT_EQ(error_of(dir, TOY + "[expect]\ntolerance = 0.0"), "");
    EXPECT_EQ(error_of(dir, TOY + "[expect]\ntolerance = 0.999"), "");
}

TEST(Shape, LayersAreCutDownToThoseAfterTheDenseOnes) {
    const std::string keys =
        "[metadata]\ntoy.per_layer = [1, 2, 3]\ntoy.scales = [1.0, 2.0, 3.0]\n"
        "toy.names = ['a', 'b', 'c']\ntoy.other = [1, 2]\nelse.per_layer = [1, 2, 3]\n";
    const Shape shape = shape_of(TOY + keys + "toy.block_count = 3\ntoy.leading_dense_block_count = 1\n");
    const Shape cut = with_layers(shape, 2);
    EXPECT_EQ(*cut.find("toy.block_count"), MetadataValue(int64_t{2}));
    EXPECT_EQ(*cut.find("toy.leading_dense_block_count"), MetadataValue(int64_t{1}));
    EXPECT_EQ(*cut.find("toy.per_layer"), MetadataValue(std::vector<int64_t>{1, 2}));
    EXPECT_EQ(*cut.find("toy.scales"), MetadataValue(std::vector<double>{1.0, 2.0}));
    EXPECT_EQ(*cut.find("toy.names"), MetadataValue(std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(*cut.find("toy.other"), MetadataValue(std::vector<int64_t>{1, 2})) << "no list of the layers";
    EXPECT_EQ(*cut.find("else.per_layer"), MetadataValue(std::vector<int64_t>{1, 2, 3})) << "another architecture's";
    EXPECT_EQ(with_layers(shape, 3).find_int("block_count"), 3);
    const auto error = [](const Shape & of, int64_t n_layers) -> std::string {
        try {
            with_layers(of, n_layers);
        } catch (const UsageError & refusal) {
            return refusal.what();
        }
        return "";
    };
    EXPECT_EQ(error(shape, 1), "x: --layers must be from 2 to 3 (the first 1 without experts)");
    EXPECT_EQ(error(shape, 4), "x: --layers must be from 2 to 3 (the first 1 without experts)");
    const Shape sparse = shape_of(TOY + "[metadata]\ntoy.block_count = 3\n");
    EXPECT_EQ(error(sparse, 1), "");
    EXPECT_EQ(error(sparse, 0), "x: --layers must be from 1 to 3");
    EXPECT_NE(error(shape_of(TOY), 1).find("has no toy.block_count"), std::string::npos);
}

TEST(Shape, VocabulariesAreNamesOrFiles) {
    Shape shape;
    shape.source = "/somewhere/spec.toml";
    EXPECT_THROW(find_vocab(shape), UsageError);
    shape.vocab = "sub/own.gguf";
    EXPECT_EQ(find_vocab(shape), "/somewhere/sub/own.gguf") << "beside the shape";
    shape.vocab = "phi-3";
    EXPECT_EQ(find_vocab(shape).filename(), "ggml-vocab-phi-3.gguf");
    shape.vocab = "no-such";
    EXPECT_THROW(find_vocab(shape), Error);
}

TEST(Shape, APathIsNeverAName) {
    const std::vector<std::string> names = shape_names();
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
    const auto error = [](const std::string & name) -> std::string {
        try {
            load_shape(name);
        } catch (const Error & refusal) {
            return refusal.what();
        }
        return "";
    };
    EXPECT_EQ(error("none.toml"), "none.toml: no such file");
    EXPECT_EQ(error("./phi-3.5-moe"), "./phi-3.5-moe: no such file");
    EXPECT_NE(error("none").find("'none' is not a known shape (there is: "), std::string::npos);
}

}  // namespace shimmy::gguf
