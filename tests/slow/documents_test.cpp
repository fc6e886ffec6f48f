// The documents of a real campaign on the embedded model: the page in a browser, and every command of a card run.
#include "base/error.h"
#include "base/files.h"
#include "base/process/child_process.h"
#include "e2e/program.h"
#include "node_packages.h"
#include "temp_dir.h"

#include <map>
#include <regex>
#include <sstream>
#include <thread>

namespace shimmy::e2e {
namespace {

constexpr const char * CAMPAIGN = R"(
name = "documents"
out_dir = "out"
quantizations = ["F16", "Q4_K_M"]
repeats = 1
max_tokens = 8
n_ctx = 256
[[models]]
path = "{}"
name = "tiny-moe"
license = "mit"
[[prompts]]
id = "hello"
text = "Hello"
)";

// The quality figures are not what is tested here, and say so: a card must have some.
void write_quality(const fs::path & out_dir) {
    const Json summary = Json::parse(read_file(out_dir / "summary.json"));
    Json models = Json::array();
    for (const Json & variant : summary["variants"]) {
        models.push_back(
            {{"file", variant["file"]}, {"sha256", variant["model_sha256"]}, {"quant", variant["quantization"]}});
        for (const char * figure :
             {"bits_per_weight", "ppl", "ppl_error", "ppl_ratio", "mean_kld", "mean_kld_error", "median_kld", "kld_p90",
              "kld_p99", "kld_p999", "max_kld", "rms_delta_p", "same_top_percent"})
            models.back()[figure] = 1.0;
    }
    const Json & first = models.front();
    fs::create_directories(out_dir / "quality");
    write_file_atomic(out_dir / "quality/tiny-moe.json",
                      Json{{"base", {{"file", first["file"]}, {"sha256", first["sha256"]}}},
                           {"text", {{"file", "invented-for-a-test.txt"}, {"sha256", ""}}},
                           {"n_ctx", 256},
                           {"n_chunks", 1},
                           {"models", models}}
                          .dump());
}

class CampaignDocuments : public ::testing::Test {
protected:
    void SetUp() override {
        SKIP_WITHOUT_GPU();
        campaign_ = dir_.path() / "documents.toml";
        write_file_atomic(campaign_, fmt::format(CAMPAIGN, tiny_moe().string()));
        const ProcessResult run = shimmy({"lab", "run", campaign_.string(), "--device", "gpu", "--moe-backend", "off"});
        ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
        EXPECT_NE(run.out.find("report.html"), std::string::npos) << run.out;
        write_quality(out());
        const ProcessResult report = shimmy({"lab", "report", campaign_.string()});
        ASSERT_EQ(report.exit_code, 0) << report.err;
    }

    fs::path out() const { return dir_.path() / "out"; }

    TempDir dir_;
    fs::path campaign_;
};

TEST_F(CampaignDocuments, ThePageDrawsItsChartsInABrowser) {
    if (!fs::exists("/usr/bin/chromium")) GTEST_SKIP() << "chromium is not installed (scripts/setup.sh slow-tests)";
    const Json pages =
        Json::parse(output_of({"node", std::string(SHIMMY_SOURCE_DIR) + "/tests/slow/page_check.mjs",
                               node_packages() + "/node_modules/playwright-core", (out() / "report.html").string()}));
    ASSERT_EQ(pages.size(), 4U);
    for (const Json & page : pages) {
        SCOPED_TRACE(page.dump());
        EXPECT_TRUE(page["errors"].empty());
        EXPECT_EQ(page["requests"], 1);  // the page itself
        EXPECT_FALSE(page["overflow"].get<bool>());
        for (const char * chart : {"vram", "speed", "latency", "quality", "front"})
            EXPECT_GT(page["drawn"][chart]["shapes"].get<int>(), 4) << chart;
        EXPECT_FALSE(page["drawn"].contains("streaming")) << "the campaign does not ask for it";
        EXPECT_NE(page["drawn"]["experts"]["text"].get<std::string>().find("--moe-backend on"), std::string::npos);
    }
    EXPECT_NE(pages[0]["background"], pages[1]["background"]);
}

// Streaming, load and experts: the charts that the campaign above leaves empty.
constexpr const char * ALL_MODES = R"(
name = "modes"
out_dir = "out"
quantizations = ["Q4_K_M"]
placements = ["baseline", "offload"]
modes = ["generate", "stream", "no-stream"]
repeats = 2
max_tokens = 16
n_ctx = 256
[load]
clients = [1, 4]
duration_s = 20
[[models]]
path = "{}"
name = "tiny-moe"
license = "mit"
[[prompts]]
id = "hello"
text = "Hello, how are you doing today my friend?"
)";

TEST(CampaignModes, StreamingLoadAndExpertsAreMeasuredAndDrawn) {
    SKIP_WITHOUT_GPU();
    const TempDir dir;
    const fs::path campaign = dir.path() / "modes.toml";
    write_file_atomic(campaign, fmt::format(ALL_MODES, tiny_moe().string()));
    const ProcessResult run = shimmy({"lab", "run", campaign.string(), "--device", "gpu", "--moe-backend", "on"});
    ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
    const Json summary = Json::parse(read_file(dir.path() / "out/summary.json"));
    EXPECT_EQ(summary["missing"], Json::array());
    EXPECT_EQ(summary["n_valid_runs"], 16);  // 2 placements x (3 modes x 2 repeats + 2 numbers of clients)
    ASSERT_EQ(summary["streaming"].size(), 2U);
    for (const Json & comparison : summary["streaming"])
        EXPECT_EQ(comparison["n_same_text"], comparison["n_pairs"]) << comparison;
    ASSERT_EQ(summary["load"].size(), 4U);
    for (const Json & load : summary["load"]) {
        EXPECT_EQ(load["n_failed_requests"], 0) << load;
        EXPECT_EQ(load["n_sse_defects"], 0) << load;
    }
    size_t n_with_experts = 0;
    for (const Json & cell : summary["cells"])
        n_with_experts += cell["expert_use"].is_array() ? 1 : 0;
    EXPECT_EQ(n_with_experts, 3U) << "offload in every mode";

    if (!fs::exists("/usr/bin/chromium")) GTEST_SKIP() << "chromium is not installed (scripts/setup.sh slow-tests)";
    const Json pages = Json::parse(
        output_of({"node", std::string(SHIMMY_SOURCE_DIR) + "/tests/slow/page_check.mjs",
                   node_packages() + "/node_modules/playwright-core", (dir.path() / "out/report.html").string()}));
    for (const Json & page : pages) {
        EXPECT_TRUE(page["errors"].empty()) << page;
        for (const char * chart : {"streaming", "load", "experts"})
            EXPECT_GT(page["drawn"][chart]["shapes"].get<int>(), 4) << chart << page;
    }
}

// Code blocks of a card, by language.
std::multimap<std::string, std::string> code_blocks(const std::string & markdown) {
    static const std::regex block("```(\\w+)\n([^`]*)```");
    std::multimap<std::string, std::string> blocks;
    for (std::sregex_iterator i(markdown.begin(), markdown.end(), block); i != std::sregex_iterator(); ++i)
        blocks.emplace((*i)[1], (*i)[2]);
    return blocks;
}

TEST_F(CampaignDocuments, EveryCommandOfACardRuns) {
    const std::string card = read_file(out() / "cards/tiny-moe-Q4_K_M-GGUF/README.md");
    const fs::path work = dir_.path() / "work";
    fs::create_directories(work);
    fs::copy(out() / "models/tiny-moe-Q4_K_M.gguf", work);
    fs::create_symlink(tiny_moe(), work / "tiny-moe-f16.gguf");
    fs::create_directory_symlink(node_packages() + "/node_modules", work / "node_modules");
    const std::string in_work = fmt::format("cd {} && export PATH={}:$PATH && ", work.string(),
                                            fs::path(SHIMMY_PROGRAM).parent_path().string());
    const auto blocks = code_blocks(card);
    std::vector<std::string> servers;
    for (auto [i, end] = blocks.equal_range("bash"); i != end; ++i) {
        if (i->second.find(" --cpu-moe --") != std::string::npos) {
            servers.push_back(i->second);
            continue;
        }
        EXPECT_FALSE(output_of({"bash", "-c", in_work + i->second}).empty()) << i->second;
    }
    ASSERT_EQ(servers.size(), 2U);
    ASSERT_EQ(blocks.count("python"), 1U);
    ASSERT_EQ(blocks.count("javascript"), 1U);
    write_file_atomic(work / "client.py", blocks.find("python")->second);
    write_file_atomic(work / "client.mjs", blocks.find("javascript")->second);
    for (const std::string & server : servers) {
        SCOPED_TRACE(server);
        ChildProcess process({"bash", "-c", in_work + "exec " + server});
        bool healthy = false;
        for (int i = 0; i < 240 && !healthy; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(250));
            healthy = run_process({"curl", "-sf", "http://127.0.0.1:11435/health"}).ok();
        }
        ASSERT_TRUE(healthy) << process.err();
        const std::string python = output_of({"python3", (work / "client.py").string()});
        EXPECT_FALSE(python.empty());
        const std::string node = output_of({"node", (work / "client.mjs").string()});
        EXPECT_FALSE(node.empty());
        process.stop(std::chrono::seconds(5));
    }
}

}  // namespace
}  // namespace shimmy::e2e
