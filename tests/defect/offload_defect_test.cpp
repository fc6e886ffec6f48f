// A real defect in the kernels that compute offloaded experts is found by `shimmy quality --check-offload`, and sound
// ones raise no alarm. The broken plugin (tests/defect) is loaded as any is: it lies beside the program's libraries.
#include "base/files.h"
#include "e2e/program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <cstdlib>

namespace shimmy::e2e {
namespace {

const std::string EVAL = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt";
constexpr const char * PLUGIN = "libggml-moe.so";

// A link where the filesystem allows it: a GPU module is large.
void link_or_copy(const fs::path & from, const fs::path & to) {
    std::error_code failed;
    fs::create_hard_link(from, to, failed);
    if (failed) fs::copy_file(from, to);
}

// The program with its libraries in `dir`, and this file as its plugin.
fs::path installed_with(const fs::path & plugin, const fs::path & dir) {
    for (const fs::directory_entry & entry : fs::directory_iterator(fs::path(SHIMMY_PROGRAM).parent_path())) {
        const fs::path name = entry.path().filename();
        const bool wanted = name == "shimmy" || (name.string().starts_with("lib") && name != PLUGIN);
        if (!wanted) continue;
        if (entry.is_symlink()) {
            fs::copy_symlink(entry.path(), dir / name);
        } else if (entry.is_regular_file()) {
            link_or_copy(entry.path(), dir / name);
        }
    }
    link_or_copy(plugin, dir / PLUGIN);
    return dir / "shimmy";
}

class OffloadDefect : public ::testing::TestWithParam<const char *> {
protected:
    void SetUp() override {
        SKIP_WITHOUT_GPU();
        ::setenv("SHIMMY_CACHE", (cache_ / "cache").c_str(), 1);
    }
    void TearDown() override { ::unsetenv("SHIMMY_CACHE"); }

    ProcessResult check(const fs::path & program, std::vector<std::string> more) const {
        const std::string type = GetParam();
        const fs::path model = type == "F16" ? tiny_moe() : tiny_moe(type);
        more.insert(more.begin(), {program.string(), "quality", "--base", model.string(), "--text", EVAL, "--chunks",
                                   "1", "--ctx", "64", "--device", "gpu", "--moe-backend", "on", "--check-offload"});
        return run_process(more, RUN_TIMEOUT);
    }

    TempDir cache_;
    TempDir tree_;
};

TEST_P(OffloadDefect, SoundKernelsAreWithinTheBound) {
    const ProcessResult result = check(installed_with(SHIMMY_SOUND_PLUGIN, tree_.path()), {"--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json offload = Json::parse(result.out, nullptr, /*allow_exceptions=*/false)["offload"][0];
    EXPECT_GT(offload["mean_kld"], 0.0) << "the experts were computed by other kernels";
    EXPECT_EQ(offload["within_bound"], true) << offload;
    std::printf("%s: mean KLD %.2e of %.0e\n", GetParam(), offload["mean_kld"].get<double>(),
                offload["mean_kld_bound"].get<double>());
}

TEST_P(OffloadDefect, AWrongKernelIsReported) {
    const ProcessResult result = check(installed_with(SHIMMY_BROKEN_PLUGIN, tree_.path()), {});
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_NE(result.out.find("DEFECT"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("--moe-backend off"), std::string::npos) << "the way out: " << result.out;
    std::printf("%s\n", result.out.c_str());
}

INSTANTIATE_TEST_SUITE_P(Types, OffloadDefect, ::testing::Values("F16", "Q4_K_M"),
                         [](const auto & type) { return std::string(type.param); });

}  // namespace
}  // namespace shimmy::e2e
