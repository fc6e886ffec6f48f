// Rules at their edges: what counts as the same, as near, as fast enough, as allowed.
#include "base/error.h"
#include "lab/given_campaign.h"
#include "report/charts/cell_charts.h"
#include "report/charts/chart.h"
#include "report/charts/chart_json.h"
#include "report/charts/gnuplot.h"
#include "report/charts/gnuplot_script.h"
#include "report/charts/model_charts.h"
#include "report/conclusions/findings.h"
#include "report/documents/card.h"
#include "report/documents/licenses.h"
#include "report/documents/publication.h"
#include "report/figures/pareto.h"
#include "report/figures/quality.h"
#include "report/figures/tables.h"
#include "said.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

namespace shimmy::report {
namespace {

using Names = std::vector<std::string>;

// A model of two files, in a summary that holds only what findings look at.
class FindingsOf : public ::testing::Test {
protected:
    FindingsOf() {
        summary_.campaign.models = {{"m", "/m.gguf", {}}};
        add("small", 100, 1000, 200, 10.0, 5.0);
        add("large", 200, 1000, 200, 10.0, 5.0);
    }

    void add(const std::string & type, uint64_t file_bytes, uint64_t baseline_bytes, uint64_t offload_bytes,
             double baseline_tps, double offload_tps) {
        const auto figures = [](uint64_t vram_bytes, double decode_tps) {
            lab::Figures all;
            all.vram_bytes = vram_bytes;
            all.decode_tps = lab::summarize({decode_tps});
            return all;
        };
        const lab::CellKey baseline{"m", type, engine::Placement::baseline()};
        const lab::CellKey offload{"m", type, engine::Placement::offload()};
        summary_.variants.push_back({"m", type, "/m.gguf", "", file_bytes, ""});
        // Two runs of each; the ratios of the pairs are as far from the mean as noise_ says.
        const auto samples = [](double first, double second) {
            std::vector<lab::Sample> runs(2);
            for (size_t i = 0; i < 2; ++i) {
                runs[i].prompt_id = "p";
                runs[i].repeat = static_cast<int>(i) + 1;
                runs[i].decode_tps = i == 0 ? first : second;
            }
            return runs;
        };
        const auto of_baseline = samples(baseline_tps * noise_, baseline_tps / noise_);
        const auto of_offload = samples(offload_tps, offload_tps);
        summary_.cells.push_back(
            {baseline, lab::Mode::generate, 2, of_baseline, figures(baseline_bytes, baseline_tps)});
        summary_.cells.push_back({offload, lab::Mode::generate, 2, of_offload, figures(offload_bytes, offload_tps)});
        summary_.rows.push_back({offload, "", file_bytes, lab::Mode::generate, figures(baseline_bytes, baseline_tps),
                                 figures(offload_bytes, offload_tps)});
    }
    void clear() {
        summary_.variants.clear();
        summary_.cells.clear();
        summary_.rows.clear();
    }
    std::string finding(size_t i) const { return said(find_findings(summary_).at(i)); }
    Names anomalies() const {
        const TempDir dir;
        return said(find_anomalies(summary_, Quality(summary_, dir.path())));
    }

    double noise_ = 1.0;
    lab::Summary summary_;
};

TEST_F(FindingsOf, FivePointsAreTheSame) {
    clear();
    add("small", 100, 1000, 250, 10.0, 5.0);
    add("large", 200, 1000, 200, 10.0, 5.0);
    EXPECT_EQ(finding(0),
              "The share of VRAM that offload saves is about the same in every quantization: from 75.0% (small) to "
              "80.0% (large).");
    clear();
    add("small", 100, 1000, 200, 10.0, 5.0);
    add("large", 200, 1000, 251, 10.0, 5.0);
    EXPECT_EQ(finding(0),
              "The share of VRAM that offload saves depends on the quantization: from 74.9% (large) to 80.0% "
              "(small).");
    clear();
    add("only", 100, 1000, 200, 10.0, 5.0);
    EXPECT_EQ(finding(0), "offload saves 80.0% of the VRAM of only.");
    EXPECT_EQ(finding(1), "The slowdown of decoding with offload: only 2.00x [2.00, 2.00].");
}

TEST_F(FindingsOf, TrendsFollowTheSizeOfTheFile) {
    const auto trend = [&](double small, double middle, double large) {
        clear();
        add("large", 300, 1000, 200, 10.0 * large, 10.0);
        add("small", 100, 1000, 200, 10.0 * small, 10.0);
        add("middle", 200, 1000, 200, 10.0 * middle, 10.0);
        const std::string text = finding(1);
        return text.substr(0, text.find(':'));
    };
    const std::string start = "The slowdown of decoding with offload ";
    EXPECT_EQ(trend(1.0, 2.0, 3.0), start + "grows with the size of the quantization");
    EXPECT_EQ(trend(3.0, 2.0, 1.0), start + "shrinks as the quantization grows");
    EXPECT_EQ(trend(1.0, 3.0, 2.0), start + "follows no trend that these runs can tell");
    EXPECT_EQ(trend(2.0, 1.0, 3.0), start + "follows no trend that these runs can tell");
    EXPECT_EQ(trend(2.0, 2.0, 3.0), start + "follows no trend that these runs can tell");
    // Of two pairs, x c and / c, the logarithm's standard error is log c, and t of one degree 12.7: with c = 1.01 the
    // interval of 2x is 1.76x to 2.27x, which meets neither 1x nor 3x; with 1.02, 1.55x to 2.57x and 2.33x to 3.86x
    // meet.
    noise_ = 1.01;
    EXPECT_EQ(trend(1.0, 2.0, 3.0), start + "grows with the size of the quantization");
    EXPECT_EQ(finding(1), start +
                              "grows with the size of the quantization: small 1.00x [0.88, 1.13], middle 2.00x [1.76, "
                              "2.27], large 3.00x [2.64, 3.40].");
    noise_ = 1.02;
    EXPECT_EQ(trend(1.0, 2.0, 3.0), start + "follows no trend that these runs can tell");
    for (lab::Cell & cell : summary_.cells)
        cell.samples.resize(1);
    EXPECT_EQ(finding(1), start + "has no interval, so no trend is named: small 1.00x, middle 2.00x, large 3.00x.");
}

// Half of the fastest is enough, a little less is not; more bits win, and of the same file the faster.
TEST_F(FindingsOf, HalfTheSpeedIsEnough) {
    const auto spot = [&](double offload_of_large) {
        clear();
        add("small", 100, 500, 100, 20.0, 10.0);
        add("large", 200, 900, 200, 15.0, offload_of_large);
        const std::string text = finding(2);
        return text.substr(text.find(": ") + 2);
    };
    EXPECT_EQ(spot(5.0),
              "from 100 B of VRAM small offload (10.0 tokens/s), from 200 B of VRAM large offload (5.00 tokens/s), "
              "from 500 B of VRAM small baseline (20.0 tokens/s), from 900 B of VRAM large baseline (15.0 "
              "tokens/s).");
    EXPECT_EQ(spot(4.9),
              "from 100 B of VRAM small offload (10.0 tokens/s), from 500 B of VRAM small baseline (20.0 tokens/s), "
              "from 900 B of VRAM large baseline (15.0 tokens/s).");
}

TEST_F(FindingsOf, StreamingVerdicts) {
    // The interval of two pairs is 6.35 times their distance to either side.
    const auto verdict = [&](const std::vector<double> & percents) {
        lab::StreamingComparison streaming{{"m", "small", engine::Placement::offload()}};
        streaming.total_percent = lab::summarize(percents);
        summary_.streaming = {streaming};
        const std::string text = said(find_findings(summary_).back());
        return text.starts_with("small offload: streaming ") ? text.substr(25, 20) : "";
    };
    EXPECT_EQ(verdict({6.5, 7.5}), "takes longer than no");  // 0.65 to 13.35
    EXPECT_EQ(verdict({5.5, 6.5}), "makes no difference ");  // -0.35 to 12.35
    EXPECT_EQ(verdict({-7.5, -6.5}), "takes less time than");
    EXPECT_EQ(verdict({-6.5, -5.5}), "makes no difference ");
    EXPECT_EQ(verdict({0.0, 0.0}), "makes no difference ");  // from 0 to 0
    EXPECT_EQ(verdict({7.0}), "") << "one pair says nothing";
}

TEST_F(FindingsOf, AnomaliesAtTheirEdges) {
    EXPECT_EQ(anomalies(), Names{});
    clear();
    add("a", 1, 100, 100, 10.0, 10.0);
    add("b", 1, 100, 101, 10.0, 10.1);
    EXPECT_EQ(anomalies(),
              (Names{"a offload: VRAM is 100 B in both placements: nothing was offloaded.",
                     "b offload: needs more VRAM than its baseline (101 B against 100 B).",
                     "b offload: the baseline is slower than offload, which decodes 1.01 times as fast: nobody "
                     "should see that on a GPU."}));
    clear();
    noise_ = 1.5;  // of two pairs: the interval holds 1
    add("b", 1, 1000, 100, 10.0, 10.1);
    EXPECT_EQ(anomalies(),
              Names{"b baseline (in process): the decode rate spreads by 54% (standard deviation over mean, "
                    "above 10%)."})
        << "that the baseline is slower may be chance";
    noise_ = 1.0;
    clear();
    add("a", 1, 1000, 100, 10.0, 5.0);
    lab::Cell & cell = summary_.cells[0];
    const auto spread = [&](double most) {
        cell.samples = std::vector<lab::Sample>(2);
        cell.samples[0].decode_tps = 1.0;
        cell.samples[1].decode_tps = most;
        return anomalies();
    };
    // 1 and r over their median (1 + r) / 2: deviation over mean is sqrt(2) (r - 1) / (r + 1), a tenth at r = 1.1522.
    EXPECT_EQ(spread(1.15), Names{});
    EXPECT_EQ(spread(1.16),
              (Names{"a baseline (in process): the decode rate spreads by 10% (standard deviation over mean, above "
                     "10%)."}));
    cell.samples.clear();
    cell.texts = {{"p", "t", 1}, {"q", "\n \t", 1}};
    EXPECT_EQ(anomalies(), (Names{"a baseline (in process): the answer to 'q' is empty."}));
    lab::LoadFigures load{{"m", "a", engine::Placement::offload()}, 3};
    load.n_requests = 9;
    load.n_failed_requests = 1;
    summary_.load = {load, {{"m", "a", engine::Placement::baseline()}, 3}};
    EXPECT_EQ(anomalies().back(), "a offload, 3 clients: 1 of 9 requests failed.");
    EXPECT_EQ(anomalies().size(), 2U);
}

// --- licenses

TEST(Licenses, WhichLetAModelBePublished) {
    const TempDir dir;
    const auto obstacle = [](const std::string & license, const std::string & name = "",
                             const std::string & link = "") {
        lab::CampaignModel model{"m", "/m.gguf", {}};
        model.license = license;
        model.license_name = name;
        model.license_link = link;
        return license_obstacle(model);
    };
    for (const char * license : {"mit", "apache-2.0", "cc-by-nc-sa-4.0", "gemma", "openrail++", "llama2"})
        EXPECT_EQ(obstacle(license), "") << license;
    for (const char * license : {"cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"})
        EXPECT_NE(obstacle(license).find("no derivatives"), std::string::npos) << license;
    EXPECT_TRUE(obstacle("").starts_with("no license"));
    EXPECT_TRUE(obstacle("unknown").starts_with("the license is 'unknown'"));
    EXPECT_TRUE(obstacle("MIT").starts_with("the Hub does not know the license 'MIT'"));
    EXPECT_NE(obstacle("other").find("needs license_name"), std::string::npos);
    EXPECT_NE(obstacle("other", "own").find("needs license_name"), std::string::npos);
    EXPECT_NE(obstacle("other", "", "https://x").find("needs license_name"), std::string::npos);
    EXPECT_EQ(obstacle("other", "own", "https://x"), "");
    const std::string file = (dir / "LICENSE").string();
    EXPECT_EQ(obstacle("other", "own", file), "license_link: " + file + ": no such file");
    write_file_atomic(file, "text");
    EXPECT_EQ(obstacle("other", "own", file), "");
    lab::CampaignModel model{"m", "/m.gguf", {}};
    EXPECT_EQ(license_file(model), "");
    model.license_link = "https://x";
    EXPECT_EQ(license_file(model), "");
    model.license_link = file;
    EXPECT_EQ(license_file(model), file);
}

// --- cards

class CardsOf : public ::testing::Test {
protected:
    CardsOf() : plan_(given_plan(dir_.path())), summary_(lab::summarize_campaign(plan_)) {
        fs::create_directories(dir_ / "out/quality");
        write_quality(given_quality(plan_, "alpha"));
    }
    void write_quality(const Json & document) const {
        write_file_atomic(dir_ / "out/quality/alpha.json", document.dump());
    }
    Names obstacles(size_t card = 0) {
        const Quality quality(summary_, dir_ / "out");
        return card_obstacles(summary_, quality, card_repos(summary_).at(card), "RERUN");
    }
    TempDir dir_;
    lab::CampaignPlan plan_;
    lab::Summary summary_;
};

TEST_F(CardsOf, EveryObstacleIsNamed) {
    EXPECT_EQ(obstacles(), Names{});
    EXPECT_EQ(obstacles(3).size(), 1U) << "beta has no quality";
    lab::CampaignModel & alpha = summary_.campaign.models[0];
    for (const char * id : {"maker", "a/b/c", "a b/c", "a/b--c", "a/b..c", "/b"}) {
        alpha.base_model = id;
        EXPECT_EQ(obstacles(),
                  (Names{fmt::format("base_model '{}' is not of the form USER/NAME, which the Hub refuses", id)}));
    }
    alpha.base_model.clear();
    EXPECT_EQ(obstacles(), Names{});
    alpha.license = "unknown";
    EXPECT_EQ(obstacles().size(), 1U);
    alpha.license = "mit";
    summary_.variants[1].sha256.clear();
    fs::remove(dir_ / "out/quality/alpha.json");
    const Names without = obstacles();
    EXPECT_EQ(without[1], "Q4_K_M has not all its runs: RERUN");
    EXPECT_EQ(std::count_if(without.begin(), without.end(),
                            [](const std::string & o) { return o.starts_with("no quality"); }),
              3);
}

// A load run that failed is in no row, and without it a card has a hole.
TEST_F(CardsOf, AMissingLoadRunIsAnObstacle) {
    summary_.missing.push_back(
        {"alpha", "Q2_K", "alpha Q2_K offload load, 4 client(s), repeat 1", "", "full", /*failed=*/true});
    EXPECT_EQ(obstacles(), (Names{"Q2_K has not all its runs: RERUN"}));
    summary_.missing[0].model = "beta";
    EXPECT_EQ(obstacles(), Names{});
}

TEST_F(CardsOf, ADefectIsAnObstacleOfEveryCard) {
    Json quality = given_quality(plan_, "alpha");
    quality["offload"][2]["within_bound"] = false;
    write_quality(quality);
    EXPECT_EQ(obstacles(), (Names{"Q2_K computes wrongly with its experts on the CPU, or without: see report.md"}));
    quality.erase("offload");
    write_quality(quality);
    EXPECT_EQ(obstacles(), Names{}) << "it was not asked for";
}

TEST_F(CardsOf, NamesOfRepositories) {
    EXPECT_EQ(repo_name("m", "Q2_K"), "m-Q2_K-GGUF");
    EXPECT_EQ(repo_name("m", ""), "m-GGUF");
    const auto repos = card_repos(summary_);
    ASSERT_EQ(repos.size(), 4U);
    EXPECT_EQ(repos[1].name, "alpha-Q4_K_M-GGUF");
    EXPECT_EQ(repos[1].id, "ada/alpha-Q4_K_M-GGUF");
    EXPECT_EQ(repos[1].quantizations, Names{"Q4_K_M"});
    summary_.campaign.repo_owner.clear();
    EXPECT_EQ(card_repos(summary_)[1].id, "");
    const Quality quality(summary_, dir_ / "out");
    CardRepo repo = repos[0];
    repo.name = std::string(96, 'x');
    EXPECT_EQ(card_obstacles(summary_, quality, repo, "RERUN"), Names{});
    repo.name += "x";
    EXPECT_EQ(card_obstacles(summary_, quality, repo, "RERUN"),
              (Names{"the repository's name is longer than the Hub's 96 letters"}));
}

// Made by hand, by the command that the documents name: the program knows a mix by the type of most of its tensors.
TEST_F(CardsOf, AMixIsKnownByItsFile) {
    Json document = given_quality(plan_, "alpha");
    for (lab::MeasuredFile & variant : summary_.variants) {
        if (variant.model == "alpha" && variant.quantization == "Q2_K") {
            variant.quantization = "down6";
            variant.mix = "Q4_K_M with ffn_down_exps=q6_K";
            document["offload"][2]["file"] = variant.file;
        }
    }
    document["models"][2]["quant"] = document["offload"][2]["quant"] = "Q4_K_M";
    write_quality(document);
    const Quality quality(summary_, dir_ / "out");
    ASSERT_NE(quality.of("alpha", "down6"), nullptr);
    EXPECT_EQ(quality.of("alpha", "down6")->mean_kld, 0.2);
    EXPECT_EQ(quality.of("alpha", "Q4_K_M")->mean_kld, 0.01);
    EXPECT_NE(quality.offload_of("alpha", "down6"), nullptr);
    EXPECT_EQ(quality.offload_of("alpha", "Q2_K"), nullptr);
}

TEST_F(CardsOf, QualityThatIsNoneIsRefused) {
    const Json whole = given_quality(plan_, "alpha");
    const auto refused = [&](const Json & document) {
        write_quality(document);
        try {
            Quality(summary_, dir_ / "out");
        } catch (const Error & error) {
            return std::string(error.what());
        }
        return std::string();
    };
    EXPECT_EQ(refused(whole), "");
    for (const char * key : {"models", "text", "base", "n_chunks"}) {
        Json without = whole;
        without.erase(key);
        EXPECT_NE(refused(without).find("not a document of shimmy quality --json"), std::string::npos) << key;
    }
    EXPECT_NE(refused(Json::array()), "");
    Json odd = whole;
    odd["models"] = 3;
    EXPECT_NE(refused(odd), "");
    for (const char * figure : {"bits_per_weight", "ppl", "ppl_error", "ppl_ratio", "mean_kld", "mean_kld_error",
                                "median_kld", "kld_p99", "max_kld", "same_top_percent"}) {
        Json without = whole;
        without["models"][1].erase(figure);
        EXPECT_NE(refused(without).find(fmt::format("lacks the figure '{}'", figure)), std::string::npos);
        without["models"][1][figure] = "x";
        EXPECT_NE(refused(without), "") << figure;
    }
    for (const char * figure : {"mean_kld", "mean_kld_error", "mean_kld_bound", "max_kld", "same_top_percent"}) {
        Json without = whole;
        without["offload"][1].erase(figure);
        EXPECT_NE(refused(without).find(fmt::format("lacks the figure '{}'", figure)), std::string::npos);
    }
    Json other = whole;
    other["models"][2]["sha256"] = "other";
    EXPECT_NE(refused(other).find("its Q2_K is another file than the campaign measured"), std::string::npos);
    write_quality(whole);
    const Quality quality(summary_, dir_ / "out");
    EXPECT_EQ(quality.of("alpha", "Q6_K"), nullptr);
    EXPECT_EQ(quality.of("beta", "MXFP4_MOE"), nullptr);
    EXPECT_EQ(quality.of("alpha", "Q2_K")->mean_kld, 0.2);
    EXPECT_EQ(quality.offload_of("alpha", "Q6_K"), nullptr);
}

TEST_F(CardsOf, PublicationsOfTheFilesThatWereMeasured) {
    write_file_atomic(dir_ / "out/publish.json", given_publication(plan_).dump());
    const Publication publication(summary_, dir_ / "out");
    ASSERT_EQ(publication.of("alpha").size(), 2U);
    EXPECT_EQ(publication.of("alpha")[1]->repo, "ada/alpha-Q4_K_M-GGUF");
    EXPECT_TRUE(publication.of("beta").empty());
    for (const char * damaged : {"{", "{}", R"({"repositories": [{}]})"}) {
        write_file_atomic(dir_ / "out/publish.json", damaged);
        EXPECT_THROW(Publication(summary_, dir_ / "out"), Error) << damaged;
    }
    fs::remove(dir_ / "out/publish.json");
    EXPECT_TRUE(Publication(summary_, dir_ / "out").of("alpha").empty());
}

TEST_F(CardsOf, LinesOfTheCsv) {
    lab::Sample & sample = summary_.cells[0].samples[0];
    sample.file = "a,\"b\"\nc";
    sample.outlier_in = {"ttft_ms", "load_ms"};
    const std::string csv = results_csv(summary_);
    const size_t begin = csv.find("\r\n") + 2;
    EXPECT_EQ(
        csv.substr(begin, csv.find("alpha", begin + 1) - begin),
        "alpha,Q8_0,baseline,generate,a,1,100.0,100.0,50.0,200.0,1000.0,47244640256,2483027968,ttft_ms load_ms,NVIDIA_Test* "
        "80GB,false,\"a,\"\"b\"\"\nc\"\r\n");
}

// --- charts

TEST(Charts, UnitsAndNames) {
    EXPECT_STREQ(unit_of(1073741824.0).name, "GiB");
    EXPECT_STREQ(unit_of(1073741823.0).name, "MiB");
    EXPECT_EQ(unit_of(1073741823.0).bytes, 1048576.0);
    EXPECT_EQ(short_placement(engine::Placement::partial(12)), "N=12");
    EXPECT_EQ(short_placement(engine::Placement::offload()), "offload");
    EXPECT_EQ(short_placement(engine::Placement::baseline()), "baseline");
}

// One placement looks the same wherever it is drawn, whatever else a chart holds.
TEST(Charts, APlacementHasOneColourAndMark) {
    const TempDir dir;
    const lab::CampaignPlan plan = given_plan(dir.path());
    const lab::Summary summary = lab::summarize_campaign(plan);
    fs::create_directories(dir / "out/quality");
    write_file_atomic(dir / "out/quality/alpha.json", given_quality(plan, "alpha").dump());
    std::map<std::string, std::set<std::pair<std::string, Mark>>> points;
    std::map<std::string, std::set<std::string>> colors;
    for (const Chart & chart : page_charts(summary, "alpha", Quality(summary, dir / "out"))) {
        if (chart.name != "speed" && chart.name != "front" && chart.name != "latency") continue;
        for (const Series & series : chart.series) {
            colors[series.title].insert(series.style.color);
            if (series.form == Series::Form::points)
                points[series.title].insert({series.style.color, series.style.mark});
        }
    }
    for (const char * placement : {"baseline", "N=2", "offload"}) {
        EXPECT_EQ(colors[placement].size(), 1U) << placement;
        EXPECT_EQ(points[placement].size(), 1U) << placement;
    }
    EXPECT_NE(colors["baseline"], colors["offload"]);
    EXPECT_EQ(points["N=2"], (std::set<std::pair<std::string, Mark>>{{"#e69f00", Mark::square}}))
        << "the second of the campaign";
}

// Times since the token before, over two runs: 10 and 14 to the first token, then 2 and 6.
TEST(Charts, LatencyIsTheMedianAndTheQuartilesOfTheRuns) {
    lab::Summary summary;
    summary.campaign.placements = {engine::Placement::baseline()};
    lab::Cell cell{{"m", "Q", engine::Placement::baseline()}};
    cell.figures.emplace();
    cell.samples.resize(2);
    cell.samples[0].token_ms = {10.0, 12.0};
    cell.samples[1].token_ms = {14.0, 20.0, 21.0};
    summary.cells = {cell};
    const std::vector<Chart> charts = latency_charts(summary, "m");
    ASSERT_EQ(charts.size(), 1U);
    EXPECT_EQ(charts[0].choices, Names{"Q"});
    const std::vector<ChartPoint> & points = charts[0].series.at(0).points;
    ASSERT_EQ(points.size(), 3U);
    EXPECT_EQ(points[0].y, 12.0);
    EXPECT_EQ(points[1].x, 2.0);
    EXPECT_EQ(points[1].y, 4.0);
    EXPECT_EQ(*points[1].low, 3.0);
    EXPECT_EQ(*points[1].high, 5.0);
    EXPECT_EQ(points[2].y, 1.0) << "of the one run that is so long";
}

// Bars with intervals, as bench/run.py has them drawn: a gap where nothing was measured, and a line at 1.
TEST(Charts, BarsOfAnotherProgram) {
    const Chart chart = chart_from(Json::parse(R"({
        "x": {"scale": "categories", "categories": ["a\nb\nc", "d"]}, "y": {"title": "rate"}, "reference": 1, "wide": true,
        "series": [{"title": "one", "form": "bars", "points": [{"x": 1, "y": 2, "low": 1.5, "high": 2.5}]},
                   {"title": "two", "form": "bars", "color": "#123456", "points": [{"x": 0, "y": 3}]}]})"));
    const std::string script = gnuplot_script(chart);
    EXPECT_NE(script.find("\"a\\nb\\nc\" NaN NaN NaN 3 3 3\n\"d\" 2 1.5 2.5 NaN NaN NaN\n"), std::string::npos)
        << script;
    EXPECT_NE(script.find("using 2:3:4:xtic(1) title \"one\" lc rgb \"#0072b2\""), std::string::npos) << script;
    EXPECT_NE(script.find("using 5:6:7 title \"two\" lc rgb \"#123456\""), std::string::npos) << script;
    EXPECT_NE(script.find("set bmargin 4.5\n"), std::string::npos) << script;
    EXPECT_NE(drawn(chart).find("width=\"1280\" height=\"600\""), std::string::npos);
    const Chart zeros = chart_from(Json::parse(R"({
        "x": {}, "y": {"scale": "logarithmic", "zero_at": 0.001, "top": 1},
        "series": [{"form": "points", "points": [{"x": 1, "y": 0}]}]})"));
    EXPECT_EQ(zeros.y.zero_at, 0.001);
    EXPECT_EQ(to_json(chart_from(to_json(zeros))), to_json(zeros));
    EXPECT_THROW(chart_from(Json::parse(R"({"x": {}, "y": {}, "series": [{"form": "pie", "points": []}]})")), Error);
    EXPECT_THROW(chart_from(Json::array()), Error);
}

// Differences on both sides of 0, and curves over named values with the intervals around them.
TEST(Charts, DifferencesAndCurvesOverNames) {
    const std::string bars = gnuplot_script(chart_from(Json::parse(R"({
        "x": {"scale": "categories", "categories": ["threads 4"]}, "y": {"title": "%", "from_zero": false},
        "series": [{"title": "one", "form": "bars", "points": [{"x": 0, "y": -2, "low": -3, "high": -1}]}]})")));
    EXPECT_NE(bars.find("set yrange [*<0:0<*]\n"), std::string::npos) << bars;
    const Chart curve = chart_from(Json::parse(R"({
        "x": {"title": "threads", "scale": "categories", "categories": ["2", "4"]}, "y": {"title": "tokens/s"},
        "series": [{"title": "one", "form": "lines", "points": [{"x": 0, "y": 5, "low": 4, "high": 6}, {"x": 1, "y": 7}]}]})"));
    const std::string script = gnuplot_script(curve);
    EXPECT_NE(script.find("set xtics (\"2\" 0, \"4\" 1)\nset xrange [-0.5:1.5]\n"), std::string::npos) << script;
    EXPECT_NE(script.find("0 5 4 6 \"\"\n1 7 7 7 \"\"\n"), std::string::npos) << script;
    EXPECT_NE(script.find("using 1:2:3:4 with yerrorbars pt 0 "), std::string::npos) << script;
    EXPECT_NE(drawn(curve).find(">tokens/s<"), std::string::npos);
}

// Fifty columns have names at every third; a cell that is missing leaves a gap; the first row is at the top.
TEST(Charts, AGridIsDrawnAsBoxes) {
    Chart grid{"experts", "Expert use per layer"};
    grid.x = {"expert", Axis::Scale::categories};
    grid.y = {"layer", Axis::Scale::categories};
    for (int i = 0; i < 50; ++i)
        grid.x.categories.push_back(std::to_string(i));
    grid.y.categories = {"1", "2"};
    Series series{"% of choices", Series::Form::grid};
    series.points.resize(2);
    series.points[0].share = 0.25;
    series.points[1] = {49.0, 1.0};
    series.points[1].share = 0.5;
    grid.series = {series};
    const std::string script = gnuplot_script(grid);
    EXPECT_NE(script.find("0 0 25\n49 1 50\n"), std::string::npos) << script;
    EXPECT_NE(script.find("set xtics (\"0\" 0, \"3\" 3, "), std::string::npos) << script;
    EXPECT_NE(script.find("set ytics (\"1\" 0, \"2\" 1)\nset yrange [1.5:-0.5]\n"), std::string::npos) << script;
    const std::string svg = drawn(grid);
    EXPECT_NE(svg.find(">% of choices<"), std::string::npos);
    EXPECT_NE(svg.find(">layer<"), std::string::npos);
}

TEST(Charts, GnuplotsReasonIsTold) {
    const auto reason_of = [](const std::string & script) {
        try {
            (void)gnuplot({{script}});
        } catch (const Error & error) {
            return std::string(error.what());
        }
        return std::string();
    };
    EXPECT_EQ(reason_of("plot x\n"), "");
    const std::vector<std::string> both = gnuplot({{"a = 1\nset title 'first'\nplot x\n"}, {"plot x\n", Picture::png}});
    ASSERT_EQ(both.size(), 2U);
    EXPECT_NE(both[0].find(">first<"), std::string::npos);
    const std::string & png = both[1];
    EXPECT_TRUE(png.starts_with("\x89PNG\r\n"));
    EXPECT_EQ(png.substr(16, 8), std::string("\0\0\x05\xf0\0\0\x03\x20", 8)) << "1520 x 800, twice the SVG";
    EXPECT_TRUE(reason_of("nonsense here\n").starts_with("gnuplot could not draw a chart: "))
        << reason_of("nonsense here\n");
    EXPECT_TRUE(gnuplot({}).empty());
    EXPECT_EQ(gnuplot({{"set title 'first'\nset logscale y\nplot x\n", Picture::png}, {"plot x\n", Picture::png}})[1],
              png)
        << "nothing of the one before is left";
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", "/nowhere", 1);
    EXPECT_EQ(reason_of("plot x\n"), "gnuplot is needed for the charts: apt-get install gnuplot-nox");
    ::setenv("PATH", path.c_str(), 1);
}

}  // namespace
}  // namespace shimmy::report
