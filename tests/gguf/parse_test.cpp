// The limits of the reader, each from both sides. Messages are compared whole where they hold a number.
#include "gguf/parse.h"

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "gguf_bytes.h"
#include "temp_dir.h"

#include "ggml.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace shimmy::gguf {

namespace {

using test::GgufBytes;

std::span<const std::byte> as_bytes(const std::string & bytes) {
    return std::as_bytes(std::span(bytes));
}

std::string error_of(const std::string & bytes) {
    try {
        parse_gguf(as_bytes(bytes), "F");
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

// A key with a value of one byte: the shortest there is, 14 bytes.
GgufBytes & shortest_key(GgufBytes & file, char name) {
    return file.string(std::string(1, name)).number<uint32_t>(0).number<uint8_t>(7);
}

std::string with_tensor(const std::string & name, const std::vector<int64_t> & shape, uint32_t type = 0,
                        uint64_t n_data = 256) {
    return GgufBytes(1, 0).tensor(name, shape, 0, type).data(n_data).bytes();
}

std::string with_alignment(auto value) {
    GgufBytes file(2, 1);
    file.key("general.alignment", value).tensor("a", {1}, 0);
    return file.bytes();
}

}  // namespace

TEST(GgufParse, TakesVersionsTwoAndThree) {
    EXPECT_EQ(error_of(GgufBytes(0, 0, 2).bytes()), "");
    EXPECT_EQ(error_of(GgufBytes(0, 0, 3).bytes()), "");
    EXPECT_EQ(error_of(GgufBytes(0, 0, 4).bytes()),
              "F: GGUF version 4 is not supported (versions 2 and 3 are): it is damaged, or newer than this program");
    EXPECT_EQ(
        error_of(GgufBytes(0, 0, 0).bytes()),
        "F: GGUF version 0 is not supported (versions 2 and 3 are): convert the original model again, or take a newer "
        "file of it");
    EXPECT_EQ(
        error_of(GgufBytes(0, 0, 65539).bytes()),
        "F: GGUF version 65539 is not supported (versions 2 and 3 are): it is damaged, or newer than this program")
        << "the lower half is not 0: no swapped version";
}

TEST(GgufParse, TheHeaderMayEndTheFile) {
    const std::string header = GgufBytes(0, 0).bytes();
    EXPECT_EQ(error_of(header), "");
    EXPECT_EQ(error_of(header.substr(0, header.size() - 1)),
              "F: truncated: the file ends inside the header (1 bytes missing)");
    EXPECT_EQ(error_of("GGUF"), "F: truncated: the file ends inside the header (4 bytes missing)");
    EXPECT_EQ(error_of("GGU"), "F: not a GGUF file (it starts with 'GGU')");
}

TEST(GgufParse, AsManyKeysAsTheFileHasRoomFor) {
    GgufBytes two(0, 2);
    shortest_key(shortest_key(two, 'a'), 'b');
    EXPECT_EQ(error_of(two.bytes()), "");
    GgufBytes three(0, 3);
    shortest_key(shortest_key(three, 'a'), 'b').number<uint64_t>(0).number<uint32_t>(0).number<uint8_t>(0);  // 13 bytes
    EXPECT_EQ(error_of(three.bytes()),
              "F: the header claims 3 metadata keys, but the file has room for 2 at most (truncated or damaged)");
}

TEST(GgufParse, AsManyTensorsAsTheFileHasRoomFor) {
    // Without a name and dimensions, 24 bytes: one value.
    const std::string one = GgufBytes(1, 0).tensor("", {}, 0).data(32).bytes();
    EXPECT_EQ(error_of(one), "");
    EXPECT_EQ(parse_gguf(as_bytes(one), "F").tensors.at(0).bytes, 4U);
    EXPECT_EQ(error_of(GgufBytes(1, 0).tensor("", {}, 0).bytes()),
              "F: truncated: its weights need a file of 68 bytes, but it has 48 (20 bytes missing, 20 B)");
    EXPECT_EQ(error_of(GgufBytes(2, 0).tensor("", {}, 0).data(7).bytes()),  // 47 bytes after the header
              "F: the header claims 2 tensors, but the file has room for 1 at most (truncated or damaged)");
}

TEST(GgufParse, AStringMayEndTheFile) {
    EXPECT_EQ(error_of(GgufBytes(0, 1).key("k", "text").bytes()), "");
    GgufBytes long_one(0, 1);
    long_one.string("k").number<uint32_t>(8).number<uint64_t>(5).number<uint32_t>(0);
    EXPECT_EQ(error_of(long_one.bytes()),
              "F: a metadata string claims a length of 5 bytes, but 4 are left in the file (truncated or damaged)");
}

TEST(GgufParse, AnArrayMayEndTheFile) {
    const std::string whole = GgufBytes(0, 1).key("k", std::vector<int32_t>{1, 2, 3}).bytes();
    EXPECT_EQ(error_of(whole), "");
    EXPECT_EQ(parse_gguf(as_bytes(whole), "F").metadata.find_ints("k"), (std::vector<int64_t>{1, 2, 3}));
    EXPECT_EQ(error_of(whole.substr(0, whole.size() - 1)),
              "F: metadata key 'k' claims 3 values, more than the file can hold (truncated or damaged)");
    // Strings take 8 bytes each at least.
    EXPECT_EQ(error_of(GgufBytes(0, 1).key("k", std::vector<std::string>{"", ""}).bytes()), "");
    GgufBytes strings(0, 1);
    strings.string("k").number<uint32_t>(9).number<uint32_t>(8).number<uint64_t>(2);
    strings.number<uint64_t>(0).number<uint32_t>(0);
    EXPECT_EQ(error_of(strings.bytes()),
              "F: metadata key 'k' claims 2 values, more than the file can hold (truncated or damaged)");
}

// Files with holes: a GiB that takes no room.
TEST(GgufParse, StringsAndArraysHaveGgmlsLimits) {
    const TempDir dir;
    const std::filesystem::path path = dir / "large.gguf";
    constexpr uint64_t LIMIT = uint64_t{1} << 30;
    const auto error_of_file = [&](const GgufBytes & start) -> std::string {
        start.write(path);
        std::filesystem::resize_file(path, LIMIT + 4096);
        try {
            const GgufFile file(path);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    const auto array = [](uint64_t n) {
        GgufBytes file(0, 1);
        return file.string("k").number<uint32_t>(9).number<uint32_t>(0).number<uint64_t>(n);
    };
    const auto text = [](uint64_t n) {
        GgufBytes file(0, 1);
        return file.string("k").number<uint32_t>(8).number<uint64_t>(n);
    };
    EXPECT_EQ(error_of_file(array(LIMIT)), "");
    EXPECT_NE(error_of_file(array(LIMIT + 1)).find("claims 1073741825 values"), std::string::npos);
    EXPECT_EQ(error_of_file(text(LIMIT)), "");
    EXPECT_NE(error_of_file(text(LIMIT + 1)).find("claims a length of 1073741825 bytes"), std::string::npos);
}

TEST(GgufParse, TheLastTypeOfValuesIsTwelve) {
    const auto with_type = [](uint32_t type) {
        GgufBytes file(0, 1);
        return file.string("k").number<uint32_t>(type).number<uint64_t>(0).bytes();
    };
    EXPECT_EQ(error_of(with_type(12)), "");
    EXPECT_EQ(error_of(with_type(13)), "F: metadata key 'k' has an unknown type (13)");
    EXPECT_EQ(error_of(GgufBytes(0, 1).key("", 1U).bytes()), "F: a metadata key is empty");
}

TEST(GgufParse, OneValueIsNoArray) {
    const std::string bytes = GgufBytes(0, 2).key("one", 3U).key("list", std::vector<int32_t>{3}).bytes();
    const Metadata metadata = parse_gguf(as_bytes(bytes), "F").metadata;
    EXPECT_FALSE(metadata.find("one")->is_array);
    EXPECT_EQ(metadata.find("one")->n, 1U);
    EXPECT_TRUE(metadata.find("list")->is_array);
    EXPECT_EQ(metadata.find("list")->n, 1U);
}

TEST(GgufParse, TheAlignmentIsAPowerOfTwo) {
    for (const uint32_t alignment : {1U, 2U, 64U}) {
        GgufBytes file(2, 1);
        file.key("general.alignment", alignment).tensor("a", {5}, 0);
        const uint64_t second = (20 + alignment - 1) / alignment * alignment;
        file.tensor("b", {1}, second);
        const uint64_t start = (file.bytes().size() + alignment - 1) / alignment * alignment;
        std::string bytes = file.bytes();
        bytes.resize(start + second + 4);
        EXPECT_EQ(error_of(bytes), "") << alignment;
        const auto tensors = parse_gguf(as_bytes(bytes), "F").tensors;
        EXPECT_EQ(tensors.at(0).offset_bytes, start) << alignment;
        EXPECT_EQ(tensors.at(1).offset_bytes, start + second) << alignment;
        bytes.pop_back();
        EXPECT_NE(error_of(bytes).find("(1 bytes missing, 1 B)"), std::string::npos) << error_of(bytes);
    }
    EXPECT_EQ(error_of(with_alignment(0U)), "F: general.alignment is 0: not a power of two");
    EXPECT_EQ(error_of(with_alignment(3U)), "F: general.alignment is 3: not a power of two");
    EXPECT_EQ(error_of(with_alignment(std::vector<int32_t>{32})), "F: general.alignment is not a u32");
    EXPECT_EQ(error_of(with_alignment("32")), "F: general.alignment is not a u32");
    GgufBytes list(0, 1);
    list.string("general.alignment").number<uint32_t>(9).number<uint32_t>(4).number<uint64_t>(1).number<uint32_t>(32);
    EXPECT_EQ(error_of(list.bytes()), "F: general.alignment is not a u32");
}

TEST(GgufParse, NamesAndDimensionsHaveGgmlsLimits) {
    EXPECT_EQ(error_of(with_tensor(std::string(63, 'n'), {1})), "");
    EXPECT_EQ(error_of(with_tensor(std::string(64, 'n'), {1})),
              "F: tensor name '" + std::string(64, 'n') + "' is too long (64 bytes, at most 63)");
    EXPECT_EQ(error_of(with_tensor("t", {1, 2, 3, 4})), "");
    EXPECT_EQ(error_of(with_tensor("t", {1, 1, 1, 1, 1})), "F: tensor 't' has 5 dimensions, at most 4");
    EXPECT_EQ(error_of(with_tensor("t", {1, -1})), "F: tensor 't' has a dimension of -1");
}

TEST(GgufParse, ATensorMayBeEmpty) {
    for (const std::vector<int64_t> & shape :
         {std::vector<int64_t>{0}, {4, 0}, {0, 4}, {INT64_MAX, INT64_MAX, 0, 1}, {0, INT64_MAX, INT64_MAX, 1}}) {
        const std::string bytes = with_tensor("t", shape, 0, 0);
        ASSERT_EQ(error_of(bytes), "");
        const TensorInfo tensor = parse_gguf(as_bytes(bytes), "F").tensors.at(0);
        EXPECT_EQ(tensor.shape, shape);
        EXPECT_EQ(tensor.n_elements, 0U);
        EXPECT_EQ(tensor.bytes, 0U);
    }
    EXPECT_EQ(error_of(with_tensor("t", {INT64_MAX, 2, 1})),
              "F: tensor 't' has an impossible shape [9223372036854775807, 2, 1]");
    EXPECT_EQ(error_of(with_tensor("t", {int64_t{1} << 62, 2, 1, 2})),
              "F: tensor 't' has an impossible shape [4611686018427387904, 2, 1, 2]");
}

TEST(GgufParse, EveryTypeOfGgmlHasItsSize) {
    int n_known = 0;
    for (uint32_t number = 0; number < GGML_TYPE_COUNT; ++number) {
        const auto type = static_cast<ggml_type>(number);
        const int64_t n_block = ggml_blck_size(type);
        if (n_block == 0) {  // removed from ggml
            EXPECT_EQ(error_of(with_tensor("t", {256}, number)),
                      fmt::format("F: tensor 't' has an unknown type ({}); a newer format?", number));
            continue;
        }
        ++n_known;
        const std::string bytes = with_tensor("t", {n_block * 2, 3}, number, 8192);
        ASSERT_EQ(error_of(bytes), "");
        const TensorInfo tensor = parse_gguf(as_bytes(bytes), "F").tensors.at(0);
        EXPECT_EQ(tensor.type, ggml_type_name(type));
        EXPECT_EQ(tensor.bytes, 3 * ggml_row_size(type, n_block * 2));
        EXPECT_EQ(tensor.n_elements, static_cast<uint64_t>(6 * n_block));
        if (n_block > 1) {
            EXPECT_EQ(error_of(with_tensor("t", {n_block + 1, 3}, number)),
                      fmt::format("F: tensor 't' has rows of {} values, not a multiple of the {} of a {} block",
                                  n_block + 1, n_block, ggml_type_name(type)));
        }
    }
    EXPECT_GT(n_known, 20);
    EXPECT_EQ(error_of(with_tensor("t", {256}, GGML_TYPE_COUNT)),
              fmt::format("F: tensor 't' has an unknown type ({}); a newer format?", +GGML_TYPE_COUNT));
}

// Sizes whose sum leaves 64 bits must not come out small.
TEST(GgufParse, SizesThatAddUpToMoreThanAnyFileAreRefused) {
    const std::string sum = "F: the tensors' sizes add up to more than any file can hold (damaged)";
    EXPECT_EQ(error_of(with_tensor("t", {int64_t{1} << 62})),
              "F: tensor 't' has an impossible shape [4611686018427387904]");
    EXPECT_EQ(error_of(with_tensor("t", {(int64_t{1} << 62) - 1})), sum) << "not to be padded";
    EXPECT_EQ(error_of(with_tensor("t", {(int64_t{1} << 62) - 8})), sum) << "not to be placed behind a header";
    const auto two = [](int64_t n_first, uint64_t second_offset) {
        return GgufBytes(2, 0).tensor("a", {n_first}, 0).tensor("b", {8}, second_offset).data(64).bytes();
    };
    const uint64_t start = two(8, 32).size() - 64;  // of the data section
    EXPECT_EQ(error_of(two(8, 32)), "");
    // The first ends 4 bytes below 2^64; the second would begin at 2^64, which is 0.
    const uint64_t first_bytes = ~uint64_t{0} - start - 3;
    EXPECT_EQ(error_of(two(static_cast<int64_t>(first_bytes / 4), 0 - start)), sum);
}

TEST(GgufParse, SaysHowMuchOfTheStartItNeeds) {
    const std::string header = GgufBytes(1, 3)
                                   .key("general.architecture", "test")
                                   .key("words", std::vector<std::string>{"one", "two"})
                                   .key("n", 4U)
                                   .tensor("t", {8, 4}, 0)
                                   .bytes();
    const uint64_t n_file = (header.size() + 31) / 32 * 32 + 128;
    for (size_t n = 0; n < header.size(); ++n) {
        const uint64_t needed = header_bytes_missing(as_bytes(header.substr(0, n)), n_file, "F");
        EXPECT_GT(needed, n);
        EXPECT_LE(needed, header.size());
    }
    EXPECT_EQ(header_bytes_missing(as_bytes(header), n_file, "F"), 0U);
    EXPECT_EQ(header_bytes_missing(as_bytes(""), n_file, "F"), 4U);
    EXPECT_EQ(header_bytes_missing(as_bytes(header.substr(0, 23)), n_file, "F"), 24U);
    EXPECT_EQ(header_bytes_missing(as_bytes(header.substr(0, 24)), n_file, "F"), 32U) << "the length of a key";
    EXPECT_THROW(header_bytes_missing(as_bytes(header), n_file - 1, "F"), Error) << "weights cannot be whole";
    EXPECT_THROW(header_bytes_missing(as_bytes("GGUX"), n_file, "F"), Error);
}

TEST(GgufParse, WhatPeopleTakeForAModelIsNamed) {
    const auto error_of = [](const std::string & content) -> std::string {
        try {
            parse_gguf(as_bytes(content), "F");
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    const auto expect = [&](const std::string & content, const std::string & part) {
        EXPECT_EQ(error_of(content).rfind("F: ", 0), 0U) << error_of(content);
        EXPECT_NE(error_of(content).find(part), std::string::npos) << error_of(content);
    };
    expect("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n", "git lfs pull");
    expect("<!DOCTYPE html><html>", "web page");
    expect("<HTML><body>", "web page");
    expect(std::string("PK\x03\x04rest"), "PyTorch");
    expect("tjgg....", "before GGUF");
    expect("{\"metadata\": 1}", "convert_hf_to_gguf.py");
    expect(std::string("\x12\0\0\0\0\0\0\0{\"__metadata__\": {}}", 27), "convert_hf_to_gguf.py");  // safetensors
    expect(std::string("\x12\0\0\0\0\0\0\0no header", 17), "not a GGUF file");
    expect(std::string("\x12\0\0\0\0\0\0\x01{\"__metadata__\": {}}", 27), "not a GGUF file");
    expect("nothing", "not a GGUF file (it starts with 'noth')");
    expect(test::GgufBytes(0, 0, 1).bytes(), "convert the original model again");
    expect(test::GgufBytes(0, 0, 4).bytes(), "newer than this program");
}

}  // namespace shimmy::gguf
