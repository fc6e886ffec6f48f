// The search for types under a budget, whole: some thirty quantizations of the embedded model are made and measured.
#include "base/files.h"
#include "e2e/program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

size_t n_files(const fs::path & dir) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
}

Json search(const fs::path & dir, std::vector<std::string> more) {
    more.insert(more.begin(), {SHIMMY_PROGRAM, "quantize", tiny_moe().string(), "--out-dir", dir.string(), "--text",
                               EVAL, "--device", "cpu", "--json"});
    const ProcessResult result = run_process(more, std::chrono::minutes(20));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out).at("files").at(0);
}

// What shimmy quality says of a file, on text that the search did not see.
double kld_on_other_text(const fs::path & dir, const fs::path & file) {
    const std::string text = read_file(EVAL);
    write_file_atomic(dir / "other.txt", text.substr(text.size() / 2));
    return shimmy_json({"quality", "--base", tiny_moe().string(), file.string(), "--text", (dir / "other.txt").string(),
                        "--chunks", "16", "--device", "cpu", "--cache-size", "0"})["models"][1]["mean_kld"];
}

TEST(QuantizeTarget, TheMixIsCloserToTheBaseThanThePlainTypeOfItsSize) {
    const TempDir dir;
    const TempDir other;
    const uint64_t size_bytes = fs::file_size(tiny_moe("Q4_K_M"));
    const Json result = search(dir.path(), {"--target-size", std::to_string(size_bytes), "--chunks", "8"});
    const fs::path file = result["path"].get<std::string>();
    EXPECT_EQ(n_files(dir.path()), 1U) << "scratch files are gone";
    EXPECT_LE(fs::file_size(file), size_bytes);
    EXPECT_EQ(fs::file_size(file), result["size_bytes"].get<uint64_t>());
    EXPECT_EQ(result["plain"]["quantization"], "Q4_K_M");
    EXPECT_EQ(result["is_mix"], true);
    EXPECT_LT(result["mix"]["mean_kld"], result["plain"]["mean_kld"]);
    EXPECT_LT(kld_on_other_text(other.path(), file), kld_on_other_text(other.path(), tiny_moe("Q4_K_M")));
    // The types it names give the same file again.
    std::vector<std::string> again{"quantize", tiny_moe().string(), "--types",
                                   "Q4_K_M",   "--out-dir",         other.path().string()};
    for (const Json & type : result["mix"]["tensor_types"])
        again.insert(again.end(), {"--tensor-type", type.get<std::string>()});
    (void)shimmy_json(again);
    EXPECT_EQ(sha256_file_hex(other / "tiny-moe-Q4_K_M.gguf"), sha256_file_hex(file));
}

TEST(QuantizeTarget, ACampaignMeasuresTheBestFileOfASize) {
    SKIP_WITHOUT_GPU();
    const TempDir dir;
    write_file_atomic(dir / "best.toml", fmt::format(R"(
name = "best"
out_dir = "out"
repeats = 1
max_tokens = 4
n_ctx = 512
quantizations = ["best-6MiB"]
[[models]]
path = "{}"
name = "tiny"
[[prompts]]
id = "train"
text = "How far does it go?"
[[mixes]]
name = "best-6MiB"
target_size = "6MiB"
text = "{}"
chunks = 2
)",
                                                     tiny_moe().string(), EVAL));
    const Json summary = shimmy_json({"lab", "run", (dir / "best.toml").string()});
    EXPECT_TRUE(summary["missing"].empty()) << summary["missing"];
    EXPECT_EQ(summary["variants"][0]["mix"], "the best types for at most 6MiB, measured on 2 chunks of eval.txt");
    const fs::path file = dir / "out/models/tiny-best-6MiB.gguf";
    EXPECT_LE(fs::file_size(file), uint64_t{6} << 20);
    EXPECT_GT(fs::file_size(file), uint64_t{5} << 20);
    EXPECT_EQ(n_files(dir / "out/models"), 2U) << "the model and where it comes from";
}

TEST(QuantizeTarget, VramIsKeptForThePlacement) {
    const TempDir dir;
    constexpr uint64_t MIB_5 = 5 << 20;
    const Json baseline = search(dir.path(), {"--target-vram", "12MiB", "--chunks", "2", "--ctx", "256"});
    EXPECT_LE(baseline["mix"]["vram_bytes"].get<uint64_t>(), uint64_t{12} << 20);
    const Json offload = search(dir.path(), {"--target-vram", "10MiB", "--cpu-moe", "--chunks", "2", "--ctx", "256"});
    EXPECT_LE(offload["mix"]["vram_bytes"].get<uint64_t>(), uint64_t{10} << 20);
    EXPECT_GT(offload["size_bytes"].get<uint64_t>(), MIB_5) << "the experts take no VRAM and stay fine";
}

}  // namespace
}  // namespace shimmy::e2e
