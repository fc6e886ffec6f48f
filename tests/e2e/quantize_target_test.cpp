// shimmy quantize --target-size and --target-vram on the embedded model.
#include "base/files.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

std::vector<std::string> arguments(const fs::path & dir, std::vector<std::string> more) {
    more.insert(more.begin(),
                {"quantize", tiny_moe().string(), "--out-dir", dir.string(), "--text", EVAL, "--device", "cpu"});
    return more;
}

TEST(QuantizeTarget, WhatIsOutOfReachIsSaidAndLeavesNothing) {
    const TempDir dir;
    expect_failure(arguments(dir.path(), {"--target-size", "500KiB", "--chunks", "1"}), 1, {"500KiB", "out of reach"});
    expect_failure({"quantize", tiny_moe().string(), "--out-dir", dir.path().string()}, 2,
                   {"--types", "--target-size"});
    expect_failure({"quantize", tiny_moe().string(), "--out-dir", dir.path().string(), "--target-size", "6MiB"}, 2,
                   {"--text"});
    expect_failure(arguments(dir.path(), {"--target-size", "6MiB", "--tensor-type", "a=q4_K"}), 2, {"--tensor-type"});
    expect_failure(arguments(dir.path(), {"--target-size", "6MiB", "--types", "Q2_K"}), 2, {"leave out --types"});
    EXPECT_EQ(n_files(dir.path()), 0U);
}

}  // namespace
}  // namespace shimmy::e2e
