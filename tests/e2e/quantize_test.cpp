// `shimmy quantize`: whole files or none, and a model that is still the same model.
#include "program.h"

#include "base/files.h"
#include "base/process/child_process.h"
#include "temp_dir.h"

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

namespace shimmy::e2e {
namespace {

// As a user whom a command line limits to files of this size: writes fail as on a full disk, but without being asked
// for more space than the file system has, which the check before the work would notice.
ProcessResult shimmy_with_file_limit(uint64_t kib, const std::string & arguments) {
    return run_process({"bash", "-c", fmt::format("ulimit -f {}; exec {} {}", kib, SHIMMY_PROGRAM, arguments)},
                       RUN_TIMEOUT);
}

TEST(Quantize, WritesEveryTypeAndSaysItsSize) {
    const TempDir dir;
    const Json document =
        shimmy_json({"quantize", tiny_moe().string(), "--types", "q2_k,Q4_K_M,Q8_0", "--out-dir", dir.path().string()});
    ASSERT_EQ(document["files"].size(), 3U);
    uint64_t last_size = 0;
    for (const Json & file : document["files"]) {
        const fs::path path = file["path"].get<std::string>();
        EXPECT_EQ(fs::file_size(path), file["size_bytes"].get<uint64_t>());
        EXPECT_GT(file["size_bytes"].get<uint64_t>(), last_size);
        last_size = file["size_bytes"];
        EXPECT_EQ(shimmy_json({"inspect", path.string()})["quantization"], file["quantization"]);
    }
    EXPECT_LT(last_size, fs::file_size(tiny_moe()));
    EXPECT_EQ(n_files(dir.path()), 3U);
}

TEST(Quantize, IsRepeatable) {
    const TempDir dir;
    const fs::path out = dir / "tiny-moe-Q4_K_M.gguf";
    const std::vector<std::string> args{"quantize", tiny_moe().string(), "--types",
                                        "Q4_K_M",   "--out-dir",         dir.path().string()};
    (void)shimmy_json(args);
    const std::string first = sha256_file_hex(out);
    (void)shimmy_json(args);
    EXPECT_EQ(sha256_file_hex(out), first);
}

TEST(Quantize, RefusesWhatIsAlreadyQuantized) {
    const TempDir dir;
    expect_failure({"quantize", tiny_moe("Q8_0").string(), "--types", "Q4_K_M", "--out-dir", dir.path().string()}, 1,
                   {"already quantized"});
    expect_failure({"quantize", synthetic("gpt-oss-20b", 2, "MXFP4").string(), "--types", "Q4_K_M", "--out-dir",
                    dir.path().string()},
                   1, {"already quantized", "MXFP4"});
    EXPECT_EQ(n_files(dir.path()), 0U);
}

TEST(Quantize, BadInputWritesNothing) {
    const TempDir dir;
    const std::string out = (dir / "out").string();
    expect_failure({"quantize", tiny_moe().string(), "--types", "Q9_Z", "--out-dir", out}, 2, {"Q9_Z", "Q4_K_M"});
    expect_failure({"quantize", "/none.gguf", "--types", "Q8_0", "--out-dir", out}, 1, {"/none.gguf"});
    expect_failure({"quantize", tiny_moe().string(), "--types", "Q8_0", "--imatrix", "/none.dat", "--out-dir", out}, 1,
                   {"/none.dat"});
    expect_failure({"quantize", tiny_moe().string(), "--types", "Q8_0", "--out-dir", "/proc/nowhere"}, 1,
                   {"/proc/nowhere"});
    std::ofstream(dir / "file") << "x";
    expect_failure({"quantize", tiny_moe().string(), "--types", "Q8_0", "--out-dir", (dir / "file").string()}, 1,
                   {"file"});
    EXPECT_FALSE(fs::exists(dir / "out") && n_files(dir / "out") > 0);
}

TEST(Quantize, AWriteThatFailsLeavesNoHalfFile) {
    const TempDir dir;
    const ProcessResult result = shimmy_with_file_limit(
        1024, fmt::format("quantize {} --types Q8_0 --out-dir {}", tiny_moe().string(), dir.path().string()));
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_NE(result.err.find("File too large"), std::string::npos) << result.err;
    EXPECT_EQ(n_files(dir.path()), 0U);
}

// Until a file is being written.
void wait_for_part_file(const fs::path & dir) {
    const auto writes = [&] {
        return std::ranges::any_of(fs::directory_iterator(dir),
                                   [](const auto & entry) { return entry.path().extension() == ".part"; });
    };
    for (const auto end = std::chrono::steady_clock::now() + RUN_TIMEOUT;
         !writes() && std::chrono::steady_clock::now() < end;)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(writes());
}

TEST(Quantize, AKillLeavesNoFileWithTheFinalName) {
    const TempDir dir;
    ChildProcess program({SHIMMY_PROGRAM, "quantize", tiny_moe().string(), "--types", "Q2_K", "--threads", "1",
                          "--out-dir", dir.path().string()});
    wait_for_part_file(dir.path());
    EXPECT_EQ(program.stop(std::chrono::milliseconds(0)), 128 + SIGKILL) << program.err();
    EXPECT_FALSE(fs::exists(dir / "tiny-moe-Q2_K.gguf"));
    EXPECT_EQ(n_files(dir.path()), 1U) << "the part file of the one that was killed";
    (void)shimmy_json({"quantize", tiny_moe().string(), "--types", "Q2_K", "--out-dir", dir.path().string()});
    EXPECT_TRUE(fs::exists(dir / "tiny-moe-Q2_K.gguf"));
    EXPECT_EQ(n_files(dir.path()), 1U) << "what the killed run left is still there";
}

TEST(Quantize, CtrlCRemovesThePartFile) {
    const TempDir dir;
    ChildProcess program({SHIMMY_PROGRAM, "quantize", tiny_moe().string(), "--types",
                          "IQ4_XS,Q2_K,Q3_K_M,Q4_K_M,Q5_K_M,Q6_K", "--threads", "1", "--out-dir", dir.path().string()});
    wait_for_part_file(dir.path());
    EXPECT_EQ(program.stop(RUN_TIMEOUT), 130) << program.err();
    for (const auto & entry : fs::directory_iterator(dir.path())) {
        EXPECT_EQ(entry.path().extension(), ".gguf") << entry.path();
        EXPECT_EQ(shimmy({"inspect", entry.path().string()}).exit_code, 0) << entry.path() << " is not whole";
    }
}

}  // namespace
}  // namespace shimmy::e2e
