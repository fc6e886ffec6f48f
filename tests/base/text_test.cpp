#include "base/text/text.h"
#include "base/process/subprocess.h"

#include <gtest/gtest.h>

namespace shimmy {
namespace {

TEST(Text, ChangesLettersOfAsciiAlone) {
    EXPECT_EQ(lower("AZaz@[09_\xC3\x84"), "azaz@[09_\xC3\x84");
    EXPECT_EQ(upper("AZaz`{09_\xC3\xA4"), "AZAZ`{09_\xC3\xA4");
}

TEST(Text, AShellTakesAQuotedTextAsOneWord) {
    for (const std::string text : {"plain", "two words", "it's", "''", "$HOME `id` \\ \"x\"", ""})
        EXPECT_EQ(run_process({"/bin/sh", "-c", "printf %s " + shell_quoted(text)}).out, text);
}

TEST(Text, WhatIsShownHasNoControlCharactersAndKeepsEveryScript) {
    EXPECT_EQ(printable(std::string(80, 'x')), std::string(80, 'x'));
    EXPECT_EQ(printable(std::string(81, 'x')), std::string(80, 'x') + "…");
    EXPECT_EQ(printable("\x1f\x20\x7e\x7f\x80"), "? ~??");
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("通义千问 Ünï 😀"), "通义千问 Ünï 😀");
    EXPECT_EQ(printable("通义千问", 2), "通义…") << "characters, not bytes";
    EXPECT_EQ(printable("a\x1b[2J\nb"), "a?[2J?b");
    EXPECT_EQ(printable("\xc2\x9b"
                        "31m"),
              "?31m")
        << "a control sequence in one character";
    EXPECT_EQ(printable("a\u202e"
                        "b"),
              "a?b")
        << "writes the rest from right to left";
    EXPECT_EQ(printable("\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82"), "??|???|????|??") << "no UTF-8";
}

}  // namespace
}  // namespace shimmy
