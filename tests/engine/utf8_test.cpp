#include "engine/run/utf8.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

constexpr const char * REPLACEMENT = "\xEF\xBF\xBD";

TEST(Utf8Stream, HoldsBackACutSequenceAtEverySplit) {
    const std::string text = "aé€😀z";  // 1, 2, 3 and 4 bytes
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        Utf8Stream stream;
        const std::string first = stream.push(text.substr(0, cut));
        const std::string second = stream.push(text.substr(cut));
        EXPECT_EQ(first + second, text) << "cut at " << cut;
        EXPECT_EQ(stream.finish(), "");
        // What came out first is whole: pushing it alone holds nothing back.
        Utf8Stream again;
        EXPECT_EQ(again.push(first), first);
        EXPECT_EQ(again.finish(), "");
    }
}

TEST(Utf8Stream, ReplacesWhatCanNeverBecomeUtf8) {
    Utf8Stream stream;
    EXPECT_EQ(stream.push("a\xFF"), std::string("a") + REPLACEMENT);
    EXPECT_EQ(stream.push("\xC0\xAF"), std::string(REPLACEMENT) + REPLACEMENT);  // overlong '/'
    EXPECT_EQ(stream.push("\xE2\x82z"), std::string(REPLACEMENT) + "z");         // cut, then a letter
    EXPECT_EQ(stream.push("\xED\xA0\x80").find(REPLACEMENT), 0U);                // a surrogate
    EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, TextThatEndsInsideASequenceIsMarked) {
    Utf8Stream stream;
    EXPECT_EQ(stream.push("x\xE2\x82"), "x");
    EXPECT_EQ(stream.finish(), REPLACEMENT);
    EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace shimmy::engine
