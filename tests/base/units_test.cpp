#include "base/units.h"

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

}  // namespace
}  // namespace shimmy
