// The 36-run campaign on two synthetic models of real shapes, killed twice and resumed.
#include "base/error.h"
#include "base/files.h"
#include "base/process/child_process.h"
#include "e2e/program.h"
#include "temp_dir.h"

#include <csignal>
#include <map>
#include <thread>

namespace shimmy::e2e {
namespace {

using std::chrono::milliseconds;

constexpr const char * SMALL_CTX = "128";

struct Shape {
    const char * name;
    int n_layers;
    int expert_divisor;
};

// Real shapes with few layers and fewer experts (see synthetic() in program.h), as shape files in `dir`. Not every
// shape and prompt will do: Mesa 22's llvmpipe crashes on OLMoE and Qwen3, and on prompts of very few tokens.
std::string campaign_text(const fs::path & dir) {
    std::string models;
    for (const Shape & shape : {Shape{"phi-3.5-moe", 1, 4}, Shape{"deepseek-moe-16b", 2, 2}}) {
        const fs::path spec = dir / fmt::format("{}.toml", shape.name);
        write_file_atomic(spec, with_fewer_experts(shape.name, shape.expert_divisor));
        models +=
            fmt::format("[[models]]\nshape = \"{}\"\nlayers = {}\nsparse = true\n", spec.string(), shape.n_layers);
    }
    return R"(
name = "matrix"
out_dir = "out"
quantizations = ["Q8_0", "Q4_K_M", "Q2_K"]
placements = ["baseline", "offload"]
repeats = 3
max_tokens = 2
n_ctx = )" +
           std::string(SMALL_CTX) + R"(
timeout_s = 300
[[prompts]]
id = "hello"
text = "Hello, how are you doing today my friend?"
)" + models;
}

struct FileStamp {
    fs::file_time_type written;
    std::string sha256;
    bool operator==(const FileStamp &) const = default;
};

// Every result that is there must be whole.
std::map<fs::path, FileStamp> results(const fs::path & out_dir) {
    std::map<fs::path, FileStamp> found;
    if (!fs::exists(out_dir / "results")) return found;
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(out_dir / "results")) {
        if (entry.path().extension() != ".json") continue;
        const std::string text = read_file(entry.path());
        const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
        EXPECT_TRUE(json.is_object() && (json.contains("ttft_ms") || json.contains("error"))) << entry.path();
        found[entry.path()] = {fs::last_write_time(entry.path()), sha256_hex(text)};
    }
    return found;
}

// Runs the campaign until `n_results` are there, then kills it in the middle of the next run.
void run_and_kill(const fs::path & campaign, const fs::path & out_dir, size_t n_results) {
    ChildProcess lab({SHIMMY_PROGRAM, "lab", "run", campaign.string(), "--json"});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(20);
    while (results(out_dir).size() < n_results && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(milliseconds(100));
    std::this_thread::sleep_for(milliseconds(300));
    const Json status = shimmy_json({"lab", "status", campaign.string()});
    EXPECT_TRUE(status["running"].is_object());
    EXPECT_EQ(status["n_runs"], 36);
    EXPECT_GE(status["n_valid"].get<size_t>() + status["n_failed"].get<size_t>(), n_results);
    EXPECT_EQ(lab.stop(milliseconds(0)), 128 + SIGKILL);
}

// Every cell of the campaign, predicted: `shimmy plan` within 3% of what its runs measured.
void expect_the_plan_predicted(const Json & summary) {
    constexpr double TOLERANCE = 0.03;
    for (const Json & variant : summary["variants"]) {
        const Json plan = shimmy_json({"plan", variant["file"].get<std::string>(), "--device", "gpu", "--ctx",
                                       SMALL_CTX, "--bandwidth", "60GB/s"});
        EXPECT_EQ(plan["vram_method"], "exact");
        size_t n_compared = 0;
        for (const Json & cell : summary["cells"]) {
            if (cell["model"] != variant["model"] || cell["quantization"] != variant["quantization"]) continue;
            for (const Json & placement : plan["placements"]) {
                if (placement["placement"] != cell["placement"]) continue;
                const double measured = cell["vram_bytes"].get<double>();
                EXPECT_NEAR(placement["vram_bytes"].get<double>(), measured, TOLERANCE * measured)
                    << variant << placement;
                ++n_compared;
            }
        }
        EXPECT_EQ(n_compared, 2U) << variant;
    }
}

// The documents of synthetic models: all but cards, complete, and with nothing open that a run could close.
void expect_complete_documents(const fs::path & out_dir) {
    for (const char * name : {"report.md", "report.html", "whitepaper.md", "checklist.md", "results.csv"})
        EXPECT_GT(fs::file_size(out_dir / name), 500U) << name;
    const std::string csv = read_file(out_dir / "results.csv");
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 36);
    for (const char * name : {"report.md", "whitepaper.md"}) {
        const std::string text = read_file(out_dir / name);
        EXPECT_EQ(text.find("## Missing"), std::string::npos) << name;
        EXPECT_EQ(text.find("not measured yet"), std::string::npos) << name;
    }
    const std::string checklist = read_file(out_dir / "checklist.md");
    EXPECT_NE(checklist.find("- [x] every run of the model has figures"), std::string::npos) << checklist;
    EXPECT_EQ(checklist.find("- [ ] VRAM measured"), std::string::npos) << checklist;
    EXPECT_FALSE(fs::exists(out_dir / "cards"));
}

TEST(SlowCampaign, ThirtySixRunsKilledTwiceAndResumed) {
    SKIP_WITHOUT_GPU();
    const TempDir dir;
    const fs::path campaign = dir.path() / "matrix.toml";
    const fs::path out_dir = dir.path() / "out";
    write_file_atomic(campaign, campaign_text(dir.path()));

    run_and_kill(campaign, out_dir, 7);
    const std::map<fs::path, FileStamp> first = results(out_dir);
    EXPECT_TRUE(shimmy_json({"lab", "status", campaign.string()})["running"].is_null());
    run_and_kill(campaign, out_dir, first.size() + 9);
    const std::map<fs::path, FileStamp> second = results(out_dir);
    EXPECT_LT(second.size(), 36U);

    // The software driver crashes in one run of a hundred or so: such a run is recorded, stays failed, and is made
    // again only when that is asked for.
    ProcessResult last =
        run_process({SHIMMY_PROGRAM, "lab", "run", campaign.string(), "--json"}, std::chrono::minutes(30));
    const std::map<fs::path, FileStamp> all = results(out_dir);
    EXPECT_EQ(all.size(), 36U);
    for (const auto * earlier : {&first, &second}) {
        for (const auto & [file, stamp] : *earlier)
            EXPECT_EQ(all.at(file), stamp) << file << " was made again";
    }
    for (int i = 0; i < 5 && last.exit_code != 0; ++i) {
        last = run_process({SHIMMY_PROGRAM, "lab", "run", campaign.string(), "--retry-failed", "--json"},
                           std::chrono::minutes(10));
    }
    EXPECT_EQ(last.exit_code, 0) << last.err << last.out.substr(0, 2000);
    const Json summary = Json::parse(read_file(out_dir / "summary.json"));
    EXPECT_EQ(summary["n_valid_runs"], 36);
    EXPECT_TRUE(summary["missing"].empty()) << summary["missing"];
    ASSERT_EQ(summary["rows"].size(), 6U);
    for (const Json & row : summary["rows"]) {
        EXPECT_EQ(row["baseline"]["decode_tps"]["n"], 3) << row;
        EXPECT_GT(row["saved_bytes"].get<int64_t>(), 0) << row;
    }
    EXPECT_TRUE(summary["device"]["software"].is_boolean());
    expect_the_plan_predicted(summary);
    expect_complete_documents(out_dir);
    for (const fs::directory_entry & entry : fs::recursive_directory_iterator(out_dir))
        EXPECT_NE(entry.path().extension(), ".part") << entry.path();
}

}  // namespace
}  // namespace shimmy::e2e
