// Tables, findings and documents of a campaign with axes (tests/lab/axes_campaign.h has its figures).
#include "report/figures/axes.h"

#include "axes_campaign.h"
#include "lab/import/llama_bench.h"
#include "report/charts/model_charts.h"
#include "report/documents/documents.h"
#include "report/documents/text_report.h"
#include "report/figures/tables.h"
#include "said.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <set>

namespace shimmy::report {
namespace {

bool holds_text(const std::string & text, const std::string & part) {
    return text.find(part) != std::string::npos;
}

class AxesDocuments : public ::testing::Test {
protected:
    AxesDocuments() : summary_(lab::summarize_campaign(lab::axes_plan(dir_.path()))) {}

    std::string document(const std::string & name) {
        write_documents(summary_, dir_ / "out", "axes.toml", "shimmy lab run axes.toml");
        return read_file(dir_ / "out" / name);
    }

    TempDir dir_;
    lab::Summary summary_;
};

TEST_F(AxesDocuments, ALinePerValueAndCell) {
    const Table table = effects_table(summary_, "m");
    ASSERT_EQ(table.rows.size(), 4U);
    // The factor 1.2 and e^(± 2.5706 * sqrt(0.0004 / 5 / 6)) around it.
    EXPECT_EQ(table.rows[3], (std::vector<std::string>{"threads 4 against 2", "F16", "offload", "in process",
                                                       "+20.0%\n+18.9 to +21.1%", "no clear difference\n+0.0 to +0.0%",
                                                       "no clear difference\n+0.0 to +0.0%", "+0.0%", "6"}));
    EXPECT_EQ(table.rows[0][5], "+100.0%\n+100.0 to +100.0%");
}

TEST_F(AxesDocuments, OnlyClearChangesAreNamed) {
    const std::vector<Finding> findings = axis_findings(summary_, "m");
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(
        said(findings[0]),
        "ubatch 512 against 256 changes the prefill rate: F16 baseline +100.0% (95% interval +100.0 to +100.0%); F16 "
        "offload +100.0% (95% interval +100.0 to +100.0%).");
    EXPECT_EQ(said(findings[1]),
              "threads 4 against 2 changes the decode rate: F16 baseline +20.0% (95% interval +18.9 to +21.1%); F16 "
              "offload +20.0% (95% interval +18.9 to +21.1%).");
}

TEST_F(AxesDocuments, NoDifferenceIsSaidInASentence) {
    const auto none = [](const lab::Run & run, Json & document) {
        document["decode_tps"] = 10.0 + run.repeat;
        document["prefill_tps"] = 100.0 + run.repeat;
    };
    const auto findings = axis_findings(lab::summarize_campaign(lab::axes_plan(dir_.path(), lab::TWO_AXES, none)), "m");
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(said(findings[0]), "No value of an axis makes a difference that these runs can tell.");
}

TEST_F(AxesDocuments, MemoryIsToldWithoutAnInterval) {
    const auto more = [](const lab::Run & run, Json & document) {
        if (*lab::value_of(run.point, "ubatch") == "512")
            document["memory"]["vram_bytes"] = run.placement.offloads() ? 1500 : 4400;
    };
    const auto findings = axis_findings(lab::summarize_campaign(lab::axes_plan(dir_.path(), lab::TWO_AXES, more)), "m");
    ASSERT_EQ(findings.size(), 3U);
    EXPECT_EQ(said(findings[1]),
              "ubatch 512 against 256 changes the VRAM, from +10.0% (F16 baseline) to +50.0% (F16 offload).");
}

TEST_F(AxesDocuments, WhatComparesPlacementsIsOfTheBase) {
    const Table comparison = comparison_table(summary_, "m");
    ASSERT_EQ(comparison.rows.size(), 1U);
    EXPECT_EQ(comparison.rows[0][10], "5.00x");
    const Table cells = cell_table(summary_, "m");
    ASSERT_EQ(cells.rows.size(), 8U);
    EXPECT_EQ(cells.columns[3].title, "settings");
    EXPECT_EQ(cells.rows[3][3], "ubatch 512, threads 4");
    EXPECT_EQ(cells.rows[3].size(), cells.columns.size());
}

TEST_F(AxesDocuments, EveryDocumentHasThem) {
    const std::string report = document("report.md");
    EXPECT_TRUE(holds_text(report,
                           "- Axes (design: full; the first value of each is the base):\n  - `ubatch`: 256, 512\n  - "
                           "`threads`: 2, 4\n"))
        << report;
    EXPECT_TRUE(holds_text(report, "At the base: ubatch 256, threads 2.\n\n### What the axes change\n")) << report;
    EXPECT_TRUE(holds_text(report, "threads 4 against 2 changes the decode rate")) << report;
    EXPECT_TRUE(holds_text(report, "; 2, 4 threads\n")) << report;
    EXPECT_TRUE(holds_text(read_file(dir_ / "out/whitepaper.md"), "#### What the axes change"));
    const std::string csv = read_file(dir_ / "out/results.csv");
    EXPECT_TRUE(holds_text(csv, ",file,ubatch,threads\r\n")) << csv.substr(0, 300);
    EXPECT_TRUE(holds_text(csv, "results/m/F16/offload/generate/ubatch=512,threads=4/a-3.json\",512,4\r\n")) << csv;
    EXPECT_TRUE(holds_text(text_report(summary_, "again"), "At ubatch 256, threads 2.\n"));
    EXPECT_TRUE(holds_text(text_report(summary_, "again"), "threads 4 against 2"));
}

// What the page draws is there as files, and nothing of an earlier time.
TEST_F(AxesDocuments, EveryChartOfThePageIsAFile) {
    fs::create_directories(dir_ / "out/charts/m");
    write_file_atomic(dir_ / "out/charts/m/latency-q2_k.svg", "of a quantization that is gone");
    const std::string report = document("report.md");
    const Quality quality(summary_, dir_ / "out");
    const std::vector<FileChart> files = file_charts(summary_, "m", quality);
    EXPECT_EQ(files.size(), page_charts(summary_, "m", quality).size());
    std::set<std::string> names;
    for (const FileChart & chart : files) {
        names.insert(chart.file);
        const std::string file = "charts/m/" + chart.file;
        EXPECT_TRUE(read_file(dir_ / "out" / (file + ".png")).starts_with("\x89PNG")) << file;
        EXPECT_TRUE(holds_text(read_file(dir_ / "out" / (file + ".svg")), "</svg>")) << file;
        EXPECT_TRUE(holds_text(report, fmt::format("![{}]({}.svg)", chart.title, file))) << file;
    }
    EXPECT_EQ(names.size(), files.size());
    for (const char * name : {"axes-ubatch-prefill-rate", "axes-threads-ttft-ms", "axes-threads-vram", "latency-f16"})
        EXPECT_TRUE(names.contains(name)) << name;
    EXPECT_FALSE(fs::exists(dir_ / "out/charts/m/latency-q2_k.svg"));
}

TEST_F(AxesDocuments, WhatVariesIsNotCalledOne) {
    summary_ = lab::summarize_campaign(lab::axes_plan(dir_.path(), "threads = [2, 4]\nn_ctx = [512, 1024]\n"));
    const std::string paper = document("whitepaper.md");
    EXPECT_TRUE(holds_text(paper, "- One machine, context lengths of 512, 1024 tokens, answers of at most 100 tokens"))
        << paper;
    EXPECT_TRUE(holds_text(paper, "- Settings: context 512, 1024, at most 100 tokens")) << paper;
}

TEST_F(AxesDocuments, ImportedFiguresStandBesideThemMarked) {
    lab::ImportedFile imported{"bench.json", "abc", {}};
    lab::ImportedTest test;
    test.model_file = "m.gguf";
    test.build = "1f2e3d4 (5678)";
    test.gpu = "A <b>card</b>";
    test.n_gpu_layers = 99;
    test.n_cpu_moe = 4;
    test.cache_type_k = test.cache_type_v = "f16";
    test.n_prompt = 512;
    test.tps = {90.0, 100.0, 110.0};
    imported.tests = {test};
    EXPECT_FALSE(holds_text(document("report.md"), "Imported"));
    lab::store_imported(imported, dir_ / "out");
    const std::string report = document("report.md");
    // The mean of 100 and 110 and 120 at the base; t of two degrees of freedom times 10 / sqrt(3) of the imported ones.
    EXPECT_TRUE(
        holds_text(report,
                   "| shimmy 0.1.0 | llvmpipe | m.gguf | offload | 2 | 256 | f16 | prefill of the prompts | 110 ± "
                   "24.8 | 3 |\n"))
        << report;
    EXPECT_TRUE(
        holds_text(report,
                   "| llama-bench 1f2e3d4 (5678) | A &lt;b&gt;card&lt;/b&gt; | m.gguf | n_cpu_moe=4, 99 layers on "
                   "the GPU | 0 | 0 | f16 | pp512 | 100 ± 24.8 | 3 |\n"))
        << report;
    EXPECT_TRUE(holds_text(read_file(dir_ / "out/whitepaper.md"), "## Imported measurements"));
    EXPECT_TRUE(holds_text(read_file(dir_ / "out/report.html"), "A &lt;b&gt;card&lt;/b&gt;</td>"));
}

}  // namespace
}  // namespace shimmy::report
