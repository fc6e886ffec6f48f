#include "engine/layout/tensor_override.h"

#include "base/error.h"
#include "engine/layout/tensor_types.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

std::string error_of(const std::string & text) {
    try {
        parse_tensor_override(text);
    } catch (const UsageError & error) {
        return error.what();
    }
    return "";
}

TEST(TensorOverride, IsAPatternAndAType) {
    EXPECT_EQ(parse_tensor_override("ffn_down_exps=Q6_K").pattern, "ffn_down_exps");
    EXPECT_EQ(parse_tensor_override("ffn_down_exps=Q6_K").type, "q6_K");
    EXPECT_EQ(parse_tensor_override("a=b=f16").pattern, "a=b") << "the last = counts";
    EXPECT_EQ(parse_tensor_override("x=bf16").type, "bf16");
    EXPECT_EQ(parse_tensor_override("x=F32").type, "f32");
    EXPECT_EQ(parse_tensor_override("x=Mxfp4").type, "mxfp4");
    for (const char * text : {"", "ffn", "=q4_K", "ffn=", "="})
        EXPECT_EQ(error_of(text), fmt::format("'{}' is not PATTERN=TYPE, such as ffn_down_exps=Q6_K", text));
    EXPECT_TRUE(error_of("(=q4_K").starts_with("'(' is not a regular expression: ")) << error_of("(=q4_K");
}

// Every type that llama.cpp can quantize weights to, and no other.
TEST(TensorOverride, TypesAreThoseThatTakeWeights) {
    for (const char * type : {"q8_1", "q8_K", "i32", "i8", "f64", "q4_2", "nonsense", ""})
        EXPECT_NE(error_of("x=" + std::string(type)), "") << type;
    const std::string error = error_of("x=zz");
    EXPECT_TRUE(error.starts_with("unknown tensor type 'zz' (known: f32, f16, q4_0, q4_1, q5_0")) << error;
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (!ggml_is_quantized(type) || ggml_type_size(type) == 0) continue;
        const std::string name = ggml_type_name(type);
        const bool activations = name == "q8_1" || name == "q8_K";
        EXPECT_EQ(error_of("x=" + name).empty(), !activations) << name;
    }
}

TEST(TensorOverride, TheListOfLlamaCppEndsWithNoPattern) {
    const std::vector<TensorOverride> overrides{{"a", "q4_K"}, {"b", "f16"}};
    const auto list = override_list(overrides);
    ASSERT_EQ(list.size(), 3U);
    EXPECT_STREQ(list[0].pattern, "a");
    EXPECT_EQ(list[0].type, GGML_TYPE_Q4_K);
    EXPECT_STREQ(list[1].pattern, "b");
    EXPECT_EQ(list[1].type, GGML_TYPE_F16);
    EXPECT_EQ(list[2].pattern, nullptr);
    EXPECT_EQ(override_list({}).size(), 1U);
}

TEST(TensorTypes, EveryTypeIsFoundByItsName) {
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (ggml_type_size(type) > 0) {
            EXPECT_EQ(tensor_type_named(ggml_type_name(type)), type);
        }
    }
    EXPECT_THROW(tensor_type_named("Q4_K"), Error) << "names are ggml's own";
    EXPECT_THROW(tensor_type_named(ggml_type_name(static_cast<ggml_type>(4))), Error) << "a type that ggml removed";
}

}  // namespace
}  // namespace shimmy::engine
