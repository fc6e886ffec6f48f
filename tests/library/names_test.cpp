#include "library/names.h"

#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::library {
namespace {

TEST(Names, Normalized) {
    EXPECT_EQ(normalized_name("Phi_3.5 MoE-Q4_K_M"), "phi-3.5-moe-q4-k-m");
    EXPECT_EQ(normalized_name("plain"), "plain");
}

TEST(Names, SplitParts) {
    const auto part = split_part("phi-00002-of-00003.gguf");
    ASSERT_TRUE(part.has_value());
    EXPECT_EQ(part->stem, "phi");
    EXPECT_EQ(part->part, 2);
    EXPECT_EQ(part->parts, 3);
    EXPECT_EQ(split_file_name(*part), "phi-00002-of-00003.gguf");
    EXPECT_FALSE(split_part("phi-0002-of-0003.gguf").has_value());
    EXPECT_FALSE(split_part("phi-00004-of-00003.gguf").has_value());
    EXPECT_FALSE(split_part("phi-00000-of-00003.gguf").has_value());
    EXPECT_FALSE(split_part("phi.gguf").has_value());
    EXPECT_FALSE(split_part("-00001-of-00001.gguf").has_value()) << "of nothing";
    EXPECT_EQ(split_part("phi-00003-of-00003.GGUF")->part, 3) << "the last";
    EXPECT_EQ(split_part("phi-00001-of-99999.gguf")->parts, 99999);
}

TEST(Names, Stem) {
    EXPECT_EQ(name_stem("/a/Phi.Q4.gguf"), "Phi.Q4");
    EXPECT_EQ(name_stem("/a/Phi-00001-of-00002.gguf"), "Phi");
    EXPECT_EQ(name_stem("/a/sha256-0123"), "sha256-0123");
    EXPECT_EQ(name_stem("/a/Phi.GGUF"), "Phi");
    EXPECT_EQ(name_stem("/a/Phi.bin"), "Phi.bin");
}

TEST(Names, FilesOfASplitModel) {
    const TempDir dir;
    for (const char * name : {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"})
        write_file_atomic(dir / name, "x");
    const std::vector<fs::path> files = model_files(dir / "m-00001-of-00003.gguf");
    ASSERT_EQ(files.size(), 3U);
    EXPECT_EQ(files, (std::vector<fs::path>{dir / "m-00001-of-00003.gguf", dir / "m-00002-of-00003.gguf",
                                            dir / "m-00003-of-00003.gguf"}));
    fs::remove(files[1]);
    try {
        model_files(dir / "m-00001-of-00003.gguf");
        FAIL() << "a missing part was not noticed";
    } catch (const Error & error) {
        EXPECT_EQ(std::string(error.what()), files[1].string() + ": part 2 of 3 is missing");
    }
    EXPECT_EQ(model_files("/any/file.gguf").size(), 1U);
    EXPECT_EQ(model_files("/any/m-00001-of-00001.gguf"), std::vector<fs::path>{"/any/m-00001-of-00001.gguf"});
}

TEST(Names, EditDistance) {
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
    EXPECT_EQ(edit_distance("phi", "phi"), 0U);
    EXPECT_EQ(edit_distance("phi-moe", "hpi-moe"), 1U);  // neighbours swapped
    EXPECT_EQ(edit_distance("phi-moe", "phi-meo"), 1U);
    EXPECT_EQ(edit_distance("abc", ""), 3U);
    EXPECT_EQ(edit_distance("abc", "xabc"), 1U);
    EXPECT_EQ(edit_distance("abc", "ab"), 1U);
    EXPECT_EQ(edit_distance("abcdef", "badcfe"), 3U);
    EXPECT_EQ(edit_distance("ca", "abc"), 3U) << "no part is edited twice";
    EXPECT_EQ(edit_distance("aab", "aba"), 1U);
}

}  // namespace
}  // namespace shimmy::library
