// Every document of the given campaign, byte for byte: tests/report/expected/. scripts/renew-expected.sh writes them
// anew and shows what has changed. The figures that matter are in figures_test.cpp too, worked out by hand.
#include "given_campaign.h"

#include "expected_file.h"
#include "lab/measure/summary_json.h"
#include "report/charts/chart_json.h"
#include "report/documents/documents.h"
#include "report/documents/text_report.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace shimmy::report {
namespace {

constexpr const char * RERUN = "shimmy lab run given.toml";

// What report.html holds for its script: the charts.
Json page_data(const std::string & page) {
    const std::string open = "<script id=\"data\" type=\"application/json\">";
    const size_t begin = page.find(open) + open.size();
    return Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

// In place of gnuplot a program that prints the script it is given, and writes the first bytes of a PNG into each file
// that a script names: the charts' own figures can be read then, and no version of gnuplot is in them.
class ScriptForChart {
public:
    explicit ScriptForChart(const fs::path & dir) : path_(std::getenv("PATH")) {
        fs::create_directories(dir);
        write_file_atomic(
            dir / "gnuplot",
            "#!/bin/sh\nif grep -q pngcairo \"$1\"; then\n"
            "  sed -n \"s/^set output '\\\\(.*\\\\)'/\\\\1/p\" \"$1\" | while read -r file; do printf '\\211PNG' > \"$file\"; done\n"
            "  exit\nfi\ncat \"$1\"\necho '</svg>'\n");
        fs::permissions(dir / "gnuplot", fs::perms::owner_all);
        ::setenv("PATH", (dir.string() + ":" + path_).c_str(), 1);
    }
    ~ScriptForChart() { ::setenv("PATH", path_.c_str(), 1); }
    ScriptForChart(const ScriptForChart &) = delete;
    ScriptForChart & operator=(const ScriptForChart &) = delete;

private:
    std::string path_;
};

class ExpectedDocuments : public ::testing::Test {
protected:
    fs::path out() const { return dir_ / "out"; }

    void write_inputs(const lab::CampaignPlan & plan) {
        fs::create_directories(out() / "quality");
        for (const char * model : {"alpha", "beta"})
            write_file_atomic(out() / "quality" / (std::string(model) + ".json"), given_quality(plan, model).dump());
        fs::create_directories(out() / "hardware");
        write_file_atomic(out() / "hardware/alpha.json", given_hardware().dump());
        write_file_atomic(out() / "publish.json", given_publication(plan).dump());
    }

    Documents write(const lab::CampaignPlan & plan) {
        summary_ = lab::summarize_campaign(plan);
        documents_ = write_documents(summary_, out(), "given.toml", RERUN);
        return documents_;
    }

    std::string screen() const { return text_report(summary_, RERUN) + "\n" + describe(documents_, out()); }
    std::string text_of(const fs::path & file) const { return read_file(out() / file); }
    Json page() const { return page_data(text_of("report.html")); }

    // All but what is the same in every page, and the charts.
    std::string page_text() const {
        std::string page = text_of("report.html");
        for (const auto & [open, close] : {std::pair{"<style>", "</style>"},
                                           {"<pre>", "</pre>"},
                                           {"<script>", "</script>"},
                                           {"<script id=\"data\" type=\"application/json\">", "</script>"},
                                           {"<script>", "</script>"}}) {
            const size_t begin = page.find(open);
            page.erase(begin, page.find(close, begin) - begin);
        }
        return page;
    }

    // Against tests/report/expected/<name>.
    void expect_as(const fs::path & name, const std::string & now) const {
        shimmy::expect_as("report/expected" / name, now, dir_.path());
    }

    TempDir dir_;
    lab::Summary summary_;
    Documents documents_;
};

TEST_F(ExpectedDocuments, OfAWholeCampaign) {
    const ScriptForChart scripts(dir_ / "bin");
    const lab::CampaignPlan plan = given_plan(dir_.path());
    write_inputs(plan);
    write(plan);
    EXPECT_EQ(text_of("summary.json"), lab::to_json(summary_).dump(2) + "\n");
    for (const auto & [model, charts] : page()["charts"].items()) {
        for (const Json & chart : charts)
            EXPECT_EQ(to_json(chart_from(chart)), chart) << model;
    }
    expect_as("whole/page.json", readable(rounded(page())) + "\n");
    expect_as("whole/page.html", page_text());
    expect_as("whole/screen.txt", screen());
    for (const char * file : {"results.csv", "report.md", "whitepaper.md", "checklist.md"})
        expect_as(fs::path("whole") / file, text_of(file));
    expect_as("whole/card-alpha-Q8_0.md", text_of("cards/alpha-Q8_0-GGUF/README.md"));
    expect_as("whole/card-alpha-Q2_K.md", text_of("cards/alpha-Q2_K-GGUF/README.md"));
    expect_as("whole/card-beta.md", text_of("cards/beta-MXFP4_MOE-GGUF/README.md"));
    for (const char * chart : {"vram", "speed", "quality", "quality-vram", "quality-speed"})
        expect_as(fmt::format("whole/{}.gnuplot", chart), text_of(fmt::format("cards/alpha-Q8_0-GGUF/{}.svg", chart)));
    expect_as("whole/beta-quality.gnuplot", text_of("cards/beta-MXFP4_MOE-GGUF/quality.svg"));
    expect_as("whole/answers.md", text_of("answers.md"));
    for (const char * chart : {"vram", "speed", "quality", "quality-vram", "quality-speed"}) {
        EXPECT_EQ(text_of(fmt::format("charts/alpha/{}.svg", chart)),
                  text_of(fmt::format("cards/alpha-Q8_0-GGUF/{}.svg", chart)));
        EXPECT_TRUE(text_of(fmt::format("charts/alpha/{}.png", chart)).starts_with("\x89PNG")) << chart;
    }
    for (const char * chart : {"latency-q2_k", "load", "bits", "experts-q8_0-offload"}) {
        expect_as(fmt::format("whole/{}.gnuplot", chart), text_of(fmt::format("charts/alpha/{}.svg", chart)));
        EXPECT_TRUE(text_of(fmt::format("charts/alpha/{}.png", chart)).starts_with("\x89PNG")) << chart;
    }
    EXPECT_FALSE(fs::exists(out() / "charts/gamma/quality.svg")) << "random weights have no quality";
}

TEST_F(ExpectedDocuments, OfARepositoryPerModel) {
    const ScriptForChart scripts(dir_ / "bin");
    lab::CampaignPlan plan = given_plan(dir_.path());
    plan.campaign.layout = lab::CardLayout::per_model;
    write_inputs(plan);
    write(plan);
    expect_as("whole/card-alpha.md", text_of("cards/alpha-GGUF/README.md"));
}

TEST_F(ExpectedDocuments, OfACampaignWithGaps) {
    const lab::CampaignPlan plan = plan_with_gaps(dir_.path());
    fs::create_directories(out() / "quality");
    Json quality = given_quality(plan, "alpha");
    quality["offload"][1]["within_bound"] = false;
    quality["offload"][1]["mean_kld"] = 0.4;
    quality["offload"].erase(2);
    write_file_atomic(out() / "quality/alpha.json", quality.dump());
    write(plan);
    expect_as("gaps/screen.txt", screen());
    for (const char * file : {"report.md", "whitepaper.md", "checklist.md"})
        expect_as(fs::path("gaps") / file, text_of(file));
    EXPECT_FALSE(fs::exists(out() / "cards"));
}

// Nothing has been run yet.
TEST_F(ExpectedDocuments, OfACampaignWithoutFigures) {
    std::string text = replaced(GIVEN_CAMPAIGN, R"("generate", "stream", "no-stream")", R"("generate")");
    lab::CampaignPlan plan = given_plan(dir_.path(), replaced(text, "repeats = 3", "repeats = 1"));
    for (lab::StoredResult & result : plan.results)
        result = {lab::ResultState::absent, "not run yet", {}};
    fs::create_directories(out());
    write_file_atomic(out() / "whitepaper.md", "of an earlier time");
    write(plan);
    expect_as("empty/checklist.md", text_of("checklist.md"));
    expect_as("empty/screen.txt", screen());
    EXPECT_FALSE(fs::exists(out() / "whitepaper.md"));
}

TEST_F(ExpectedDocuments, ThePageIsWhole) {
    const ScriptForChart scripts(dir_ / "bin");
    const lab::CampaignPlan plan = given_plan(dir_.path());
    write_inputs(plan);
    write(plan);
    const std::string page = text_of("report.html");
    EXPECT_NE(page.find("<title>Campaign given</title>"), std::string::npos);
    for (const char * file : {"page.css", "page.js"}) {
        const std::string part = read_file(fs::path(SHIMMY_SOURCE_DIR) / "src/report/page" / file);
        EXPECT_NE(page.find(part), std::string::npos) << file;
    }
    // No text of the campaign ends the element or becomes HTML.
    EXPECT_EQ(page.find("<b>L.</b>"), std::string::npos);
    EXPECT_EQ(page.find("<i>HTML</i>"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::report
