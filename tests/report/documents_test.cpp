// The documents of a campaign whose figures are known by hand.
#include "report/documents/documents.h"

#include "base/error.h"
#include "base/process/subprocess.h"
#include "fabricated_document.h"
#include "lab/measure/summary.h"
#include "report/conclusions/findings.h"
#include "report/documents/text_report.h"
#include "report/figures/quality.h"
#include "report/figures/tables.h"
#include "said.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>

namespace shimmy::report {
namespace {

// What a run answers, by quantization and placement; the tests change it.
struct Answer {
    uint64_t vram_bytes;
    double decode_tps;
    std::string text = "an answer";
};

class DocumentsOf : public ::testing::Test {
protected:
    DocumentsOf() {
        campaign_ = lab::fabricated_campaign(dir_.path());
        campaign_.repeats = 2;
        campaign_.creator = "someone";
        campaign_.models[0].license = "mit";
        campaign_.models[0].base_model = "maker/model";
    }

    lab::Summary summary() {
        lab::CampaignPlan plan;
        plan.campaign = campaign_;
        plan.inputs = {lab::InputInfo{"F16", false, 16, 4, 1024, "deepseek", languages_of_file_}};
        plan.variants = {{"m", "F16", "/m.gguf", "/m.gguf"}, {"m", "Q2_K", "/out/m-Q2_K.gguf", "/m.gguf"}};
        plan.sha256 = {"aaaa00000000000000", "bbbb00000000000000"};
        plan.errors = {"", ""};
        plan.runs = lab::plan_runs(campaign_, 2);
        for (const lab::Run & run : plan.runs) {
            const std::string type = plan.variants[run.variant].quantization;
            const Answer & answer = answers_.at({type, engine::to_string(run.placement)});
            lab::StoredResult result;
            result.state = lab::ResultState::valid;
            const double jitter = run.repeat == 2 ? jitter_ : 1.0;
            result.document = lab::fabricated_document(engine::to_string(run.placement),
                                                       {answer.vram_bytes, 10.0, answer.decode_tps * jitter});
            result.document["model"]["size_bytes"] = type == "F16" ? 3145728 : 1048576;
            result.document["text"] = answer.text;
            result.document["run"] = {{"started_at", "2026-01-01T00:00:00Z"}};
            plan.results.push_back(result);
        }
        return lab::summarize_campaign(plan);
    }

    std::vector<Finding> anomalies() {
        const lab::Summary all = summary();
        return find_anomalies(all, Quality(all, out()));
    }

    void write_quality(const std::string & sha256_of_q2_k = "bbbb00000000000000") {
        Json models = Json::array();
        for (const auto & [type, sha256, bits, ppl, kld] :
             {std::tuple{"F16", std::string("aaaa00000000000000"), 16.0, 10.0, 0.0},
              {"Q2_K", sha256_of_q2_k, 3.0, 10.05, 0.02}}) {
            models.push_back({{"file", "/m.gguf"},
                              {"sha256", sha256},
                              {"quant", type},
                              {"bits_per_weight", bits},
                              {"ppl", ppl},
                              {"ppl_error", 0.1},
                              {"ppl_ratio", ppl / 10.0},
                              {"mean_kld", kld},
                              {"mean_kld_error", 0.001},
                              {"median_kld", kld / 2},
                              {"kld_p90", kld},
                              {"kld_p99", kld * 5},
                              {"kld_p999", kld * 9},
                              {"max_kld", kld * 20},
                              {"rms_delta_p", 1.0},
                              {"same_top_percent", 99.0}});
        }
        Json offload = Json::array();
        for (const auto & [type, kld] : offload_kld_)
            offload.push_back({{"quant", type},
                               {"mean_kld", kld},
                               {"mean_kld_error", kld / 10},
                               {"max_kld", kld * 9},
                               {"same_top_percent", 99.5},
                               {"mean_kld_bound", 0.001},
                               {"within_bound", kld <= 0.001}});
        const Json document{{"offload", offload},
                            {"base", {{"file", "/m.gguf"}, {"sha256", "aaaa00000000000000"}}},
                            {"text", {{"file", "/eval.txt"}, {"sha256", "cccc"}}},
                            {"n_ctx", 512},
                            {"n_chunks", 8},
                            {"models", models}};
        fs::create_directories(out() / "quality");
        write_file_atomic(out() / "quality/m.json", document.dump());
    }

    Documents write() { return write_documents(summary(), out(), "demo.toml", "shimmy lab run demo.toml"); }
    fs::path out() const { return dir_.path() / "out"; }
    std::string text_of(const fs::path & name) const { return read_file(out() / name); }

    TempDir dir_;
    lab::Campaign campaign_;
    double jitter_ = 1.0;
    std::vector<std::string> languages_of_file_;
    std::map<std::string, double> offload_kld_;  // by quantization, of offload against baseline
    std::map<std::pair<std::string, std::string>, Answer> answers_{{{"F16", "baseline"}, {4000000, 40.0}},
                                                                   {{"F16", "offload"}, {1000000, 10.0}},
                                                                   {{"Q2_K", "baseline"}, {2000000, 50.0}},
                                                                   {{"Q2_K", "offload"}, {500000, 25.0}}};
};

bool says(const std::vector<Finding> & findings, const std::string & piece) {
    const std::vector<std::string> texts = said(findings);
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string & text) { return text.find(piece) != std::string::npos; });
}

std::string html_of(const fs::path & markdown) {
    const ProcessResult result = run_process({"cmark-gfm", "--unsafe", "-e", "table", markdown.string()});
    EXPECT_TRUE(result.ok()) << result.err;
    return result.out;
}

TEST_F(DocumentsOf, FindingsAreComputed) {
    const auto findings = find_findings(summary());
    EXPECT_TRUE(says(findings, "about the same in every quantization: from 75.0% (")) << said(findings[1]);
    EXPECT_TRUE(
        says(findings, "grows with the size of the quantization: Q2_K 2.00x [2.00, 2.00], F16 4.00x [4.00, 4.00]"));
    EXPECT_TRUE(says(findings, "software device"));
    // With 0.5 MB only Q2_K offload fits. At 1 MB F16 offload is less than half as fast as that. At 4 MB all fit.
    EXPECT_TRUE(says(findings,
                     "from 488.3 KiB of VRAM Q2_K offload (25.0 tokens/s), from 1.9 MiB of VRAM Q2_K baseline "
                     "(50.0 tokens/s), from 3.8 MiB of VRAM F16 baseline (40.0 tokens/s)"));
    EXPECT_TRUE(anomalies().empty());
}

TEST_F(DocumentsOf, AReductionThatDiffersIsCalledSo) {
    answers_[{"F16", "offload"}].vram_bytes = 3000000;
    EXPECT_TRUE(says(find_findings(summary()), "depends on the quantization: from 25.0% (F16) to 75.0% (Q2_K)"));
}

TEST_F(DocumentsOf, AnomaliesAreCalledOut) {
    answers_[{"F16", "offload"}].vram_bytes = 4000000;
    answers_[{"Q2_K", "offload"}] = {500000, 60.0, " \n"};
    jitter_ = 1.5;
    const auto found = anomalies();
    EXPECT_TRUE(says(found, "F16 offload: VRAM is 3.8 MiB in both placements"));
    EXPECT_TRUE(says(found, "Q2_K offload: the baseline is slower than offload"));
    EXPECT_TRUE(says(found, "Q2_K offload (in process): the answer to 'a' is empty"));
    EXPECT_TRUE(says(found, "the decode rate spreads by 2"));  // 1 and 1.5 over their median: 21%
    answers_[{"Q2_K", "offload"}].vram_bytes = 0;
    EXPECT_TRUE(says(anomalies(), "VRAM is 0."));
}

TEST_F(DocumentsOf, TheScreenShowsTableAndConditions) {
    const std::string text = text_report(summary(), "shimmy lab run demo.toml");
    for (const char * piece : {"75.0%", "4.00x", "2.00x", "software device: speeds are not a GPU's", "2 prompts x 2"})
        EXPECT_NE(text.find(piece), std::string::npos) << piece << "\n" << text;
}

TEST_F(DocumentsOf, TheSameResultsGiveTheSameBytes) {
    write_quality();
    const Documents first = write();
    std::map<std::string, std::string> before;
    for (const fs::path & file : first.written)
        before[file.string()] = read_file(file);
    const Documents second = write();
    EXPECT_EQ(first.written, second.written);
    for (const fs::path & file : second.written)
        EXPECT_EQ(before[file.string()], read_file(file)) << file;
    EXPECT_TRUE(second.refused.empty());
}

TEST_F(DocumentsOf, CsvHasALinePerRun) {
    campaign_.models[0].name = "m";
    const std::string csv = results_csv(summary());
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 16);
    EXPECT_EQ(csv.rfind("model,quantization,placement,mode,prompt_id,repeat,ttft_ms", 0), 0U);
    EXPECT_NE(csv.find("m,Q2_K,offload,generate,b,2,10.0,"), std::string::npos) << csv;
}

TEST_F(DocumentsOf, ACardWithoutQualityIsRefusedAndNamesTheRun) {
    const Documents documents = write();
    ASSERT_EQ(documents.refused.size(), 2U);
    EXPECT_NE(documents.refused[0].find("no quality figures of F16: shimmy quality --base"), std::string::npos)
        << documents.refused[0];
    EXPECT_FALSE(fs::exists(out() / "cards/m-F16-GGUF/README.md"));
    EXPECT_NE(text_of("report.md").find("shimmy quality --base"), std::string::npos);
    EXPECT_NE(text_of("checklist.md").find("- [ ] quality measured — open: `shimmy quality"), std::string::npos);
}

TEST_F(DocumentsOf, AnOldCardDoesNotOutliveItsFigures) {
    write_quality();
    write();
    ASSERT_TRUE(fs::exists(out() / "cards/m-F16-GGUF/README.md"));
    fs::remove(out() / "quality/m.json");
    write();
    EXPECT_FALSE(fs::exists(out() / "cards/m-F16-GGUF/README.md"));
}

TEST_F(DocumentsOf, QualityOfAnotherFileIsRefused) {
    write_quality("dddd00000000000000");
    try {
        write();
        FAIL() << "figures of another file went into a document";
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("another file"), std::string::npos) << error.what();
    }
}

TEST_F(DocumentsOf, CardsAreWhatTheHubTakes) {
    write_quality();
    write();
    const std::string card = text_of("cards/m-Q2_K-GGUF/README.md");
    const size_t end = card.find("\n---\n", 4);
    ASSERT_EQ(card.rfind("---\n", 0), 0U);
    ASSERT_NE(end, std::string::npos);
    const std::string front = card.substr(4, end - 4);
    for (const char * line : {"license: mit", "base_model: maker/model", "base_model_relation: quantized",
                              "pipeline_tag: text-generation", "quantized_by: \"someone\"", "- gguf"}) {
        EXPECT_NE(front.find(line), std::string::npos) << line;
    }
    EXPECT_NE(front.find("language:\n- en\n"), std::string::npos) << "where neither file nor campaign says more";
    for (const char * piece :
         {"bbbb00000000000000", "10.0500 ± 0.1000", "| **Q2_K** | 1.0 MiB | 3.00 |",
          "| 0.02000 ± 0.00100 | file size, VRAM, decode rate |", "](quality.svg)", "](quality-vram.svg)",
          "](quality-speed.svg)", "| 488.3 KiB | **Q2_K** | `--cpu-moe` | 0.02000 | 25.0 |",
          "| 3.8 MiB | **F16** | none | 0.00000 | 40.0 |", "shimmy quantize m.gguf --types Q2_K",
          "- **F16** is the smallest file that is nearly the original",
          "- **Q2_K** takes the least memory: mean KLD 0.02000,", "llama.cpp", "software device"}) {
        EXPECT_NE(card.find(piece), std::string::npos) << piece;
    }
}

TEST_F(DocumentsOf, ADefectOfOffloadIsNoNoise) {
    offload_kld_ = {{"F16", 0.00002}, {"Q2_K", 0.0003}};
    write_quality();
    EXPECT_TRUE(write().refused.empty());
    EXPECT_TRUE(anomalies().empty());
    EXPECT_NE(text_of("cards/m-Q2_K-GGUF/README.md")
                  .find("| 0.000300 ± 0.000030 | 0.001 | 0.0027 | 99.50% | the same model |"),
              std::string::npos);
    EXPECT_NE(text_of("checklist.md").find("- [x] every file predicts the same"), std::string::npos);
    offload_kld_["Q2_K"] = 0.4;
    write_quality();
    const Documents documents = write();
    ASSERT_EQ(documents.refused.size(), 2U) << "a card shows all files of its model";
    EXPECT_NE(documents.refused[0].find("Q2_K computes wrongly"), std::string::npos) << documents.refused[0];
    EXPECT_TRUE(says(anomalies(),
                     "Q2_K offload is DEFECTIVE: its predictions differ from the baseline's by a mean KL "
                     "divergence of 0.4, and rounding explains 0.001 at most"));
    EXPECT_NE(text_of("report.md").find("**defect**"), std::string::npos);
    EXPECT_NE(text_of("report.html").find("DEFECTIVE"), std::string::npos);
    EXPECT_NE(text_of("checklist.md").find("- [ ] every file predicts the same"), std::string::npos);
}

TEST_F(DocumentsOf, TheLanguagesAreTheFilesOrTheCampaigns) {
    write_quality();
    const auto language = [&] {
        write();
        const std::string card = text_of("cards/m-Q2_K-GGUF/README.md");
        const size_t at = card.find("language:\n");
        return card.substr(at, card.find("quantized_by", at) - at);
    };
    languages_of_file_ = {"de", "de", "Klingon", "fr"};
    EXPECT_EQ(language(), "language:\n- de\n- fr\n") << "what is no code is left out";
    campaign_.models[0].languages = {"no", "multilingual"};
    EXPECT_EQ(language(), "language:\n- \"no\"\n- multilingual\n") << "YAML takes a bare no for false";
    campaign_.models[0].languages = {"yes"};  // Nyankpa, of ISO 639-3
    EXPECT_EQ(language(), "language:\n- \"yes\"\n") << "and a bare yes for true";
}

TEST_F(DocumentsOf, OneCardPerModelListsEveryFile) {
    campaign_.layout = lab::CardLayout::per_model;
    write_quality();
    write();
    const std::string card = text_of("cards/m-GGUF/README.md");
    EXPECT_NE(card.find("**F16**"), std::string::npos);
    EXPECT_NE(card.find("**Q2_K**"), std::string::npos);
    EXPECT_EQ(card.find("another repository"), std::string::npos);
}

TEST_F(DocumentsOf, ASyntheticModelHasNoCard) {
    campaign_.models[0].shape = "phi-3.5-moe";
    const Documents documents = write();
    EXPECT_TRUE(documents.refused.empty());
    EXPECT_FALSE(fs::exists(out() / "cards"));
    EXPECT_NE(text_of("whitepaper.md").find("synthetic, of the shape phi-3.5-moe"), std::string::npos);
}

// Every Markdown document: tables render as tables, links to files lead somewhere, and no placeholder is in it.
TEST_F(DocumentsOf, EveryMarkdownDocumentRenders) {
    write_quality();
    const Documents documents = write();
    for (const lab::Cell & cell : summary().cells) {
        for (const lab::Sample & sample : cell.samples) {
            fs::create_directories((out() / sample.file).parent_path());
            write_file_atomic(out() / sample.file, "{}");
        }
    }
    for (const fs::path & file : documents.written) {
        if (file.extension() != ".md") continue;
        SCOPED_TRACE(file);
        const std::string text = read_file(file);
        const std::string html = html_of(file);
        static const std::regex rule(R"(\n\| (---|---:))");
        const auto n_tables = std::distance(std::sregex_iterator(text.begin(), text.end(), rule), {});
        static const std::regex table("<table>");
        EXPECT_EQ(std::distance(std::sregex_iterator(html.begin(), html.end(), table), {}), n_tables);
        static const std::regex link(R"re((?:src|href)="([^"#]+)")re");
        for (std::sregex_iterator i(html.begin(), html.end(), link); i != std::sregex_iterator(); ++i) {
            const std::string target = (*i)[1];
            const bool web = target.starts_with("https://");
            EXPECT_TRUE(web || fs::exists(file.parent_path() / target)) << target;
        }
        static const std::regex placeholder(R"(\b(TBD|TODO|FIXME|N/A|nan|inf|null)\b|@[A-Z]+@)");
        std::smatch found;
        EXPECT_FALSE(std::regex_search(text, found, placeholder)) << found[0];
    }
}

TEST_F(DocumentsOf, ThePageNeedsNoNetworkAndHoldsItsData) {
    answers_[{"F16", "offload"}].text = "</script><script>alert(1)</script>";
    write();
    const std::string page = text_of("report.html");
    static const std::regex external(R"re(<(?:script|link|img)[^>]+(?:src|href)=)re");
    const size_t library = page.find("<script>");
    EXPECT_FALSE(std::regex_search(page.substr(0, library), external));
    EXPECT_EQ(page.find("</script><script>alert"), std::string::npos);
    EXPECT_NE(page.find("Apache ECharts\nCopyright"), std::string::npos);
    EXPECT_NE(page.find("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"), std::string::npos);
    const std::string open = "<script id=\"data\" type=\"application/json\">";
    const size_t begin = page.find(open) + open.size();
    const Json data = Json::parse(page.substr(begin, page.find("</script>", begin) - begin));
    EXPECT_EQ(data["models"], Json({"m"}));
    EXPECT_EQ(data["charts"]["m"][0]["name"], "vram");
}

}  // namespace
}  // namespace shimmy::report
