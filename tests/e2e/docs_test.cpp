// The documents that are made from the program, and the commands that documents show.
#include "program.h"

#include "base/files.h"

namespace shimmy::e2e {
namespace {

TEST(Docs, TheReferencePageIsWhatTheProgramSays) {
    const ProcessResult result = shimmy({"reference"});
    ASSERT_TRUE(result.ok()) << result.err;
    EXPECT_EQ(read_file(fs::path(SHIMMY_SOURCE_DIR) / "docs/CLI.md"), result.out) << "run `make docs`";
}

TEST(Docs, VersionNamesBoth) {
    const ProcessResult result = shimmy({"--version"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.out.rfind("shimmy ", 0), 0U) << result.out;
    EXPECT_NE(result.out.find("llama.cpp v0.5.0"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace shimmy::e2e
