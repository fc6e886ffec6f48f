#include "base/text.h"
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

}  // namespace
}  // namespace shimmy
