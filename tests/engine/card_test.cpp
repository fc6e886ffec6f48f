// Cards by the names that people give them.
#include "engine/predict/card.h"

#include "base/error.h"
#include "base/text/units.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

TEST(Card, HasMoreThanOneName) {
    for (const char * name : {"rtx-4060", "RTX 4060", "NVIDIA GeForce RTX 4060", "4060", "geforce_rtx_4060"})
        EXPECT_EQ(find_card(name).name, "RTX 4060") << name;
    EXPECT_EQ(find_card("rtx-4060").memory_bytes, 8 * GIB);
    EXPECT_DOUBLE_EQ(find_card("rtx-4060").bandwidth_bytes_per_s, 272e9);
    EXPECT_EQ(find_card("RTX 4060 Ti 16GB").memory_bytes, 16 * GIB);
    EXPECT_EQ(find_card("AMD Radeon RX 7900 XTX").memory_bytes, 24 * GIB);
    EXPECT_EQ(find_card("Tesla P40").memory_bytes, 24 * GIB);
}

TEST(Card, OneThatIsNotKnownIsToldThoseLikeIt) {
    try {
        find_card("rtx 30");
        FAIL() << "found";
    } catch (const UsageError & error) {
        const std::string what = error.what();
        EXPECT_NE(what.find("RTX 3090, RTX 3090 Ti"), std::string::npos) << what;
        EXPECT_EQ(what.find("RTX 4060"), std::string::npos) << what;
        EXPECT_NE(what.find("--vram"), std::string::npos) << what;
    }
    EXPECT_THROW(find_card(""), UsageError);
}

TEST(Card, ThoseOfASizeAreARange) {
    const CardRange ten = bandwidth_of_cards(10 * GIB);  // 10 / 11 is 9% off
    EXPECT_TRUE(ten.of_this_size);
    EXPECT_DOUBLE_EQ(ten.low_bytes_per_s, 484e9);
    const CardRange large = bandwidth_of_cards(141 * GIB);
    EXPECT_DOUBLE_EQ(large.low_bytes_per_s, 4800e9);
    EXPECT_DOUBLE_EQ(large.high_bytes_per_s, 4800e9);
    const CardRange none = bandwidth_of_cards(64 * GIB);
    EXPECT_FALSE(none.of_this_size);
    EXPECT_DOUBLE_EQ(none.low_bytes_per_s, 224e9);
    EXPECT_DOUBLE_EQ(none.high_bytes_per_s, 5300e9);
}

}  // namespace
}  // namespace shimmy::engine
