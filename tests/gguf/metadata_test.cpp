#include "gguf/metadata.h"

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf_bytes.h"
#include "temp_dir.h"

#include "gguf.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <memory>

namespace shimmy::gguf {

namespace {

std::string message_of(const auto & call) {
    try {
        call();
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

template <typename T>
constexpr T LOWEST = std::numeric_limits<T>::min();
template <typename T>
constexpr T HIGHEST = std::numeric_limits<T>::max();

// Arrays of two, the largest number of the type last.
template <typename T>
void set_array(gguf_context * context, const char * key, gguf_type type) {
    const std::array<T, 2> values{T{1}, HIGHEST<T>};
    gguf_set_arr_data(context, key, type, values.data(), values.size());
}

}  // namespace

// Every type, written by ggml, with the numbers at both ends.
class MetadataTest : public ::testing::Test {
protected:
    MetadataTest() {
        const std::unique_ptr<gguf_context, decltype(&gguf_free)> owner(gguf_init_empty(), &gguf_free);
        gguf_context * context = owner.get();
        gguf_set_val_u8(context, "u8", HIGHEST<uint8_t>);
        gguf_set_val_i8(context, "i8", LOWEST<int8_t>);
        gguf_set_val_u16(context, "u16", HIGHEST<uint16_t>);
        gguf_set_val_i16(context, "i16", LOWEST<int16_t>);
        gguf_set_val_u32(context, "u32", HIGHEST<uint32_t>);
        gguf_set_val_i32(context, "i32", LOWEST<int32_t>);
        gguf_set_val_f32(context, "f32", 0.25F);
        gguf_set_val_u64(context, "u64", static_cast<uint64_t>(HIGHEST<int64_t>));
        gguf_set_val_u64(context, "u64.too.large", uint64_t{1} << 63);
        gguf_set_val_i64(context, "i64", LOWEST<int64_t>);
        gguf_set_val_f64(context, "f64", 1e-300);
        gguf_set_val_bool(context, "bool", true);
        gguf_set_val_str(context, "string", "text");
        set_array<uint8_t>(context, "u8s", GGUF_TYPE_UINT8);
        set_array<int8_t>(context, "i8s", GGUF_TYPE_INT8);
        set_array<uint16_t>(context, "u16s", GGUF_TYPE_UINT16);
        set_array<int16_t>(context, "i16s", GGUF_TYPE_INT16);
        set_array<uint32_t>(context, "u32s", GGUF_TYPE_UINT32);
        set_array<int32_t>(context, "i32s", GGUF_TYPE_INT32);
        set_array<int64_t>(context, "i64s", GGUF_TYPE_INT64);
        const std::array<float, 2> floats{1.0F, 2.0F};
        gguf_set_arr_data(context, "f32s", GGUF_TYPE_FLOAT32, floats.data(), floats.size());
        const std::array<bool, 3> flags{true, false, true};
        gguf_set_arr_data(context, "bools", GGUF_TYPE_BOOL, flags.data(), flags.size());
        std::array<const char *, 3> words{"a", "bb", ""};
        gguf_set_arr_str(context, "strings", words.data(), words.size());
        if (!gguf_write_to_file(context, path_.c_str(), /*only_meta=*/true)) throw std::runtime_error("not written");
        file_ = std::make_unique<GgufFile>(path_);
    }

    const Metadata & metadata() const { return file_->metadata(); }

    const TempDir dir_;
    const std::filesystem::path path_ = dir_ / "all.gguf";
    std::unique_ptr<GgufFile> file_;
};

TEST_F(MetadataTest, WholeNumbersOfEveryTypeKeepTheirValue) {
    EXPECT_EQ(metadata().find_int("u8"), 255);
    EXPECT_EQ(metadata().find_int("i8"), -128);
    EXPECT_EQ(metadata().find_int("u16"), 65535);
    EXPECT_EQ(metadata().find_int("i16"), -32768);
    EXPECT_EQ(metadata().find_int("u32"), 4294967295);
    EXPECT_EQ(metadata().find_int("i32"), -2147483648LL);
    EXPECT_EQ(metadata().find_int("u64"), HIGHEST<int64_t>);
    EXPECT_EQ(metadata().find_int("i64"), LOWEST<int64_t>);
    EXPECT_EQ(metadata().find_int("bool"), 1);
    EXPECT_EQ(message_of([&] { metadata().find_int("u64.too.large"); }),
              path_.string() + ": metadata key u64.too.large is 9223372036854775808: too large");
}

TEST_F(MetadataTest, ArraysOfEveryTypeKeepTheirValues) {
    using Ints = std::vector<int64_t>;
    EXPECT_EQ(metadata().find_ints("u8s"), (Ints{1, 255}));
    EXPECT_EQ(metadata().find_ints("i8s"), (Ints{1, 127}));
    EXPECT_EQ(metadata().find_ints("u16s"), (Ints{1, 65535}));
    EXPECT_EQ(metadata().find_ints("i16s"), (Ints{1, 32767}));
    EXPECT_EQ(metadata().find_ints("u32s"), (Ints{1, 4294967295}));
    EXPECT_EQ(metadata().find_ints("i32s"), (Ints{1, 2147483647}));
    EXPECT_EQ(metadata().find_ints("i64s"), (Ints{1, HIGHEST<int64_t>}));
    EXPECT_EQ(metadata().find_ints("bools"), (Ints{1, 0, 1}));
    EXPECT_EQ(metadata().find_ints("none"), std::nullopt);
    EXPECT_EQ(metadata().find_strings("strings"), (std::vector<std::string_view>{"a", "bb", ""}));
    EXPECT_EQ(metadata().find_strings("strings", 2), (std::vector<std::string_view>{"a", "bb"}));
    EXPECT_EQ(metadata().find_strings("none"), std::nullopt);
}

TEST_F(MetadataTest, NumbersWithAFractionComeFromAnyNumber) {
    EXPECT_EQ(metadata().find_float("f32"), 0.25);
    EXPECT_EQ(metadata().find_float("f64"), 1e-300);
    EXPECT_EQ(metadata().find_float("i16"), -32768.0);
    EXPECT_EQ(metadata().find_float("none"), std::nullopt);
    EXPECT_EQ(metadata().find_string("string"), "text");
    EXPECT_EQ(metadata().find_string("none"), std::nullopt);
}

TEST_F(MetadataTest, AWrongTypeIsNamed) {
    const std::string start = path_.string() + ": metadata key ";
    EXPECT_EQ(message_of([&] { metadata().find_int("f32"); }), start + "f32 is f32, expected an integer");
    EXPECT_EQ(message_of([&] { metadata().find_int("i32s"); }), start + "i32s is an array of i32, expected an integer");
    EXPECT_EQ(message_of([&] { metadata().find_ints("strings"); }),
              start + "strings is an array of string, expected an integer");
    EXPECT_EQ(message_of([&] { metadata().find_float("f32s"); }), start + "f32s is an array of f32, expected a number");
    EXPECT_EQ(message_of([&] { metadata().find_float("string"); }), start + "string is string, expected an integer");
    EXPECT_EQ(message_of([&] { metadata().find_string("u8"); }), start + "u8 is u8, expected a string");
    EXPECT_EQ(message_of([&] { metadata().find_string("strings"); }),
              start + "strings is an array of string, expected a string");
    EXPECT_EQ(message_of([&] { metadata().find_strings("string"); }),
              start + "string is string, expected an array of strings");
    EXPECT_EQ(message_of([&] { metadata().find_strings("u16s"); }),
              start + "u16s is an array of u16, expected an array of strings");
}

TEST_F(MetadataTest, TypesHaveTheNamesNumbersAndSizesOfGgml) {
    for (uint32_t number = 0; number < GGUF_TYPE_COUNT; ++number) {
        const auto type = static_cast<ValueType>(number);
        const auto ggml = static_cast<gguf_type>(number);
        EXPECT_STREQ(to_string(type), ggml == GGUF_TYPE_STRING  ? "string"
                                      : ggml == GGUF_TYPE_ARRAY ? "array"
                                                                : gguf_type_name(ggml));
    }
    const std::array<std::pair<ValueType, uint64_t>, 13> sizes{{{ValueType::uint8, 1},
                                                                {ValueType::int8, 1},
                                                                {ValueType::boolean, 1},
                                                                {ValueType::uint16, 2},
                                                                {ValueType::int16, 2},
                                                                {ValueType::uint32, 4},
                                                                {ValueType::int32, 4},
                                                                {ValueType::float32, 4},
                                                                {ValueType::uint64, 8},
                                                                {ValueType::int64, 8},
                                                                {ValueType::float64, 8},
                                                                {ValueType::string, 0},
                                                                {ValueType::array, 0}}};
    for (const auto & [type, n_bytes] : sizes)
        EXPECT_EQ(size_of(type), n_bytes) << to_string(type);
    for (const auto & [key, value] : metadata().values()) {
        EXPECT_EQ(value.n, !value.is_array ? 1U : key == "bools" || key == "strings" ? 3U : 2U) << key;
    }
}

}  // namespace shimmy::gguf
