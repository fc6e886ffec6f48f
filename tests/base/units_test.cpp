#include "base/text/units.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace shimmy {
namespace {

TEST(Units, FormatsBytesInTheLargestUnitThatFits) {
    EXPECT_EQ(format_bytes(0), "0 B");
    EXPECT_EQ(format_bytes(1023), "1023 B");
    EXPECT_EQ(format_bytes(1536), "1.5 KiB");
    EXPECT_EQ(format_bytes(297 * MIB), "297.0 MiB");
    EXPECT_EQ(format_bytes(26214400000), "24.41 GiB");
}

TEST(Units, FormatsCountsAsModelNamesDo) {
    EXPECT_EQ(format_count(41'873'153'344), "41.9B");
    EXPECT_EQ(format_count(13'400'000), "13.4M");
    EXPECT_EQ(format_count(999), "999");
}

TEST(Units, ParsesSizesInBinaryAndDecimalUnits) {
    EXPECT_EQ(parse_bytes("8GiB", "--vram"), 8 * GIB);
    EXPECT_EQ(parse_bytes("512 MiB", "--vram"), 512 * MIB);
    EXPECT_EQ(parse_bytes("8gb", "--vram"), 8'000'000'000U);
    EXPECT_EQ(parse_bytes("0.5GiB", "--vram"), 512 * MIB);
    EXPECT_EQ(parse_bytes("1024", "--vram"), 1024U);
}

TEST(Units, RefusesWhatIsNotASize) {
    for (const char * text : {"", "GiB", "8 apples", "-1GiB", "nan", "1e300GiB", "0x10"}) {
        try {
            (void)parse_bytes(text, "--vram");
            ADD_FAILURE() << "accepted '" << text << "'";
        } catch (const UsageError & error) {
            EXPECT_NE(std::string(error.what()).find("--vram"), std::string::npos) << error.what();
        }
    }
}

TEST(Units, EveryUnitBeginsAtOne) {
    EXPECT_EQ(format_bytes(1024), "1.0 KiB");
    EXPECT_EQ(format_bytes(MIB - 1), "1024.0 KiB");
    EXPECT_EQ(format_bytes(MIB), "1.0 MiB");
    EXPECT_EQ(format_bytes(GIB - 1), "1024.0 MiB");
    EXPECT_EQ(format_bytes(GIB), "1.00 GiB");
    EXPECT_EQ(format_bytes(GIB + 10 * MIB), "1.01 GiB");
    EXPECT_EQ(format_bytes(uint64_t{3} << 40), "3072.00 GiB");
    EXPECT_EQ(format_count(1000), "1.0K");
    EXPECT_EQ(format_count(999'999), "1000.0K");
    EXPECT_EQ(format_count(1'000'000), "1.0M");
    EXPECT_EQ(format_count(999'999'999), "1000.0M");
    EXPECT_EQ(format_count(1'000'000'000), "1.0B");
}

TEST(Units, EverySuffixHasItsFactor) {
    EXPECT_EQ(parse_bytes("3b", "x"), 3U);
    EXPECT_EQ(parse_bytes("3KiB", "x"), 3U * 1024);
    EXPECT_EQ(parse_bytes("3 TiB", "x"), uint64_t{3} << 40);
    EXPECT_EQ(parse_bytes("3kb", "x"), 3'000U);
    EXPECT_EQ(parse_bytes("3MB", "x"), 3'000'000U);
    EXPECT_EQ(parse_bytes("3TB", "x"), 3'000'000'000'000U);
    EXPECT_EQ(parse_bytes("3g", "x"), 3 * GIB);
    EXPECT_EQ(parse_bytes("0", "x"), 0U);
    EXPECT_EQ(parse_bytes("1.999", "x"), 1U) << "no byte that was not given";
    EXPECT_EQ(parse_bytes("8388607TiB", "x"), uint64_t{8388607} << 40);
    EXPECT_THROW((void)parse_bytes("8388608TiB", "x"), UsageError) << "2^63";
    EXPECT_THROW((void)parse_bytes("inf", "x"), UsageError);
}

}  // namespace
}  // namespace shimmy
