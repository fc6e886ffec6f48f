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
        EXPECT_TRUE(shape.expect.n_params && shape.expect.n_active_params && shape.expect.n_expert_tensors) << name;
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

}  // namespace shimmy::gguf
