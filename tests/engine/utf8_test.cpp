#include "base/text/utf8_stream.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

constexpr const char * REPLACEMENT = "\xEF\xBF\xBD";

TEST(Utf8Stream, HoldsBackACutSequenceAtEverySplit) {
    const std::string text = "aé€😀z";  // 1, 2, 3 and 4 bytes
    for (size_t cut = 0; cut <= text.size(); ++cut) {
        Utf8Stream stream;
        const std::string first(stream.push(text.substr(0, cut)));
        const std::string second(stream.push(text.substr(cut)));
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

// Table 3-7 of the Unicode standard, each row at both ends and one beyond.
TEST(Utf8Stream, WellFormedSequencesAreThoseOfTheStandard) {
    const auto through = [](const std::string & bytes) {
        Utf8Stream stream;
        std::string out(stream.push(bytes));
        out += stream.finish();
        return out;
    };
    for (const char * whole :
         {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xE0\xBF\xBF", "\xE1\x80\x80", "\xEC\xBF\xBF",
          "\xED\x80\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF0\xBF\xBF\xBF",
          "\xF1\x80\x80\x80", "\xF3\xBF\xBF\xBF", "\xF4\x80\x80\x80", "\xF4\x8F\xBF\xBF"})
        EXPECT_EQ(through(whole), whole);
    for (const char * broken : {"\x80", "\xBF", "\xC1\xBF", "\xC2\x7F", "\xDF\xC0", "\xE0\x9F\xBF", "\xE1\x80\x7F",
                                "\xE1\x80\xC0", "\xE1\xC0\x80", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF1\x80\x80\x7F",
                                "\xF1\x80\xC0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"})
        EXPECT_TRUE(through(broken).starts_with(REPLACEMENT)) << broken;
}

// What is replaced is as long as it can be ("maximal subparts"), as Python's and browsers' decoders do it.
TEST(Utf8Stream, OneMarkForEachBrokenPart) {
    const std::string mark = REPLACEMENT;
    Utf8Stream stream;
    EXPECT_EQ(stream.push("\xF1\x80\x80z"), mark + "z");
    EXPECT_EQ(stream.push("\xE1\x80\xE1\x80\x80"), mark + "\xE1\x80\x80");
    EXPECT_EQ(stream.push("\xF0\x9F"), "");
    EXPECT_EQ(stream.push("x"), mark + "x");
    EXPECT_EQ(stream.push(""), "");
}

}  // namespace
}  // namespace shimmy::engine
