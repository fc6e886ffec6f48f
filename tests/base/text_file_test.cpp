#include "base/text/text_file.h"

#include "base/error.h"
#include "base/text/utf8.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy {
namespace {

std::string error_of(const std::string & content) {
    const TempDir dir;
    write_file_atomic(dir / "t.txt", content);
    try {
        (void)read_measured_text((dir / "t.txt").string());
    } catch (const Error & error) {
        const std::string what = error.what();
        return what.substr(what.find("t.txt") + 5);
    }
    return "";
}

TEST(MeasuredText, IsTextThatPeopleWrote) {
    EXPECT_EQ(error_of("Grüße, 世界 😀\n"), "");
    EXPECT_EQ(error_of(""), ": holds no text");
    EXPECT_EQ(error_of("\xEF\xBB\xBF"), ": holds no text") << "a byte order mark alone";
    EXPECT_EQ(error_of("text \xF1\xF2"), ": is no text in UTF-8: give one that people wrote");
    EXPECT_NE(error_of(std::string("\xFF\xFEh\0", 4)).find("is UTF-16"), std::string::npos);
}

TEST(Utf8, IsWhatTheStandardSays) {
    for (const char * text : {"", "a", "\u00e9", "\u20ac", "\U0001F600", "\u07ff\u0800\uffff"})
        EXPECT_TRUE(is_utf8(text)) << text;
    for (const char * bytes :
         {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "a\xFF", "\xE2\x82"})
        EXPECT_FALSE(is_utf8(bytes));
}

}  // namespace
}  // namespace shimmy
