// Hashes of models, and who is shown that they take time.
#include "cli/model_hash.h"

#include "base/text/units.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::cli {
namespace {

// What a hash of a file of so many zeros shows on stderr.
std::string said(bool quiet, uint64_t bytes) {
    const TempDir dir;
    write_file_atomic(dir / "large.gguf", "");
    fs::resize_file(dir / "large.gguf", bytes);
    testing::internal::CaptureStderr();
    EXPECT_EQ(ModelHashes({}, quiet).sha256((dir / "large.gguf").string()).size(), 64U);
    return testing::internal::GetCapturedStderr();
}

TEST(ModelHashes, LargeFilesHaveABarUnlessQuiet) {
    EXPECT_NE(said(false, GIB).find("sha256 of large.gguf"), std::string::npos);
    EXPECT_EQ(said(true, GIB), "");
    EXPECT_EQ(said(false, MIB), "") << "over before anybody reads it";
}

}  // namespace
}  // namespace shimmy::cli
