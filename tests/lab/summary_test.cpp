#include "lab/measure/summary.h"

#include "base/error.h"
#include "fabricated_document.h"
#include "lab/measure/summary_json.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace shimmy::lab {
namespace {

// One F16 model, two prompts, two repeats: four runs per placement, in the order baseline a, offload a, baseline b, ….
class SummaryOf : public ::testing::Test {
protected:
    SummaryOf() {
        campaign_ = fabricated_campaign(dir_.path());
        campaign_.models[0].quantizations = {"F16"};
        campaign_.repeats = 2;
        plan_.inputs = {InputInfo{"F16", false, 16, 4, 1024, "deepseek"}};
        plan_.variants = {{"m", "F16", "/m.gguf", "/m.gguf"}};
        plan_.sha256 = {"abc123"};
        plan_.errors = {""};
        runs_ = plan_runs(campaign_, 1);
        const double baseline_tps[] = {40.0, 50.0, 60.0, 70.0};    // median 55
        const double offload_tps[] = {20.0, 25.0, 19.0, 30.0};     // median 22.5
        const double baseline_ttft[] = {10.0, 30.0, 20.0, 12.0};   // median 16
        const double offload_ttft[] = {100.0, 80.0, 90.0, 120.0};  // median 95
        for (size_t i = 0; i < runs_.size(); ++i) {
            const bool offload = runs_[i].placement.offloads();
            const FabricatedFigures figures{offload ? 1048576U : 4194304U,
                                            offload ? offload_ttft[i / 2] : baseline_ttft[i / 2],
                                            offload ? offload_tps[i / 2] : baseline_tps[i / 2]};
            StoredResult result;
            result.state = ResultState::valid;
            result.document = fabricated_document(engine::to_string(runs_[i].placement), figures);
            result.document["run"] = {{"started_at", fmt::format("2026-01-01T00:00:{:02}Z", i)}};
            results_.push_back(result);
        }
    }

    Summary summary() {
        plan_.campaign = campaign_;
        plan_.runs = runs_;
        plan_.results = results_;
        return summarize_campaign(plan_);
    }

    TempDir dir_;
    Campaign campaign_;
    CampaignPlan plan_;
    std::vector<lab::Run> runs_;
    std::vector<StoredResult> results_;
};

TEST_F(SummaryOf, FiguresByHand) {
    const Summary result = summary();
    EXPECT_TRUE(result.complete());
    EXPECT_EQ(result.n_valid_runs, 8U);
    ASSERT_EQ(result.rows.size(), 1U);
    const Row & row = result.rows[0];
    EXPECT_EQ(row.file_size_bytes, 3145728U);
    EXPECT_EQ(row.model_sha256, "abc123");
    EXPECT_EQ(row.saved_bytes(), 3145728);
    EXPECT_DOUBLE_EQ(row.saved_percent(), 75.0);
    EXPECT_EQ(row.baseline.decode_tps.n, 4U);
    EXPECT_DOUBLE_EQ(row.baseline.decode_tps.median, 55.0);
    EXPECT_DOUBLE_EQ(row.offload.decode_tps.median, 22.5);
    EXPECT_DOUBLE_EQ(row.slowdown(), 55.0 / 22.5);
    EXPECT_DOUBLE_EQ(row.baseline.ttft_ms.median, 16.0);
    EXPECT_DOUBLE_EQ(row.offload.ttft_ms.min, 80.0);
    EXPECT_DOUBLE_EQ(row.offload.ttft_ms.max, 120.0);
    EXPECT_EQ(result.conditions.first_run_at, "2026-01-01T00:00:00Z");
    EXPECT_EQ(result.conditions.last_run_at, "2026-01-01T00:00:07Z");
}

TEST_F(SummaryOf, JsonHasPlainUnits) {
    const Json document = to_json(summary());
    EXPECT_EQ(document["rows"][0]["saved_bytes"], 3145728);
    EXPECT_EQ(document["rows"][0]["baseline"]["vram_bytes"], 4194304);
    EXPECT_EQ(document["rows"][0]["offload"]["decode_tps"]["median"], 22.5);
    EXPECT_EQ(document["rows"][0]["offload"]["ttft_ms"]["n"], 4);
    EXPECT_EQ(document["device"]["software"], true);
    EXPECT_TRUE(document["missing"].empty());
}

TEST_F(SummaryOf, CellsHoldEverySampleAndTheirInterval) {
    const Json document = to_json(summary());
    ASSERT_EQ(document["cells"].size(), 2U);
    const Json & cell = document["cells"][0];
    EXPECT_EQ(cell["placement"], "baseline");
    EXPECT_EQ(cell["mode"], "generate");
    EXPECT_EQ(cell["n_runs"], 4);
    EXPECT_EQ(cell["n_valid"], 4);
    EXPECT_EQ(cell["samples"][1]["prompt_id"], "b");
    EXPECT_EQ(cell["samples"][1]["file"], "results/m/F16/baseline/generate/b-1.json");
    // 40, 50, 60, 70: mean 55, standard deviation sqrt(500 / 3), t of three degrees 3.1824.
    const double half = 3.1824 * std::sqrt(500.0 / 3.0) / 2.0;
    EXPECT_NEAR(cell["decode_tps"]["ci95_low"].get<double>(), 55.0 - half, 1e-3);
    EXPECT_NEAR(cell["decode_tps"]["ci95_high"].get<double>(), 55.0 + half, 1e-3);
    EXPECT_EQ(cell["cold"]["ttft_ms"]["median"], 32.0);
    EXPECT_EQ(cell["n_same_text_cold_warm"], 4);
    EXPECT_EQ(cell["texts"][0]["n_distinct"], 1);
    EXPECT_TRUE(cell["expert_use"].is_null());
    EXPECT_EQ(cell["peak_rss_bytes"], 2097152);
    EXPECT_EQ(document["variants"][0]["file_size_bytes"], 3145728);
    EXPECT_EQ(document["models"][0]["arch"], "deepseek");
}

// Prompt a takes 10 ms and prompt b 1000 ms: only the run that is far from its own prompt's others is an outlier.
TEST_F(SummaryOf, AnOutlierIsFarFromItsOwnPrompt) {
    campaign_.repeats = 6;
    runs_ = plan_runs(campaign_, 1);
    results_.clear();
    for (const lab::Run & run : runs_) {
        double ttft_ms = (run.prompt == 0 ? 10.0 : 1000.0) * (1.0 + 0.01 * run.repeat);
        if (run.prompt == 0 && run.repeat == 4) ttft_ms = 30.0;
        StoredResult result;
        result.state = ResultState::valid;
        result.document = fabricated_document(engine::to_string(run.placement), {1000, ttft_ms, 20.0});
        results_.push_back(result);
    }
    const Summary result = summary();
    EXPECT_EQ(result.cells[0].figures->ttft_ms.n_outliers, 1U);
    EXPECT_EQ(result.cells[0].figures->ttft_ms.n, 12U) << "outliers are kept";
    for (const Sample & sample : result.cells[0].samples) {
        const bool outlier = sample.prompt_id == "a" && sample.repeat == 4;
        EXPECT_EQ(std::count(sample.outlier_in.begin(), sample.outlier_in.end(), "ttft_ms"), outlier ? 1 : 0);
    }
}

TEST_F(SummaryOf, StreamingIsComparedPairByPair) {
    campaign_.modes = {Mode::stream, Mode::no_stream};
    runs_ = plan_runs(campaign_, 1);
    results_.clear();
    for (const lab::Run & run : runs_) {
        StoredResult result;
        result.state = ResultState::valid;
        result.document = fabricated_document(engine::to_string(run.placement), {1000, 10.0, 20.0});
        const double base_ms = 100.0 * static_cast<double>(run.prompt + 1);
        const double percent = run.prompt == 0 ? 1.0 : 3.0;
        result.document["total_ms"] = run.mode == Mode::stream ? base_ms * (1.0 + percent / 100.0) : base_ms;
        if (run.mode == Mode::stream) {
            result.document["sse"] = {{"defects", Json::array()}};
            if (run.prompt == 1 && run.repeat == 2) {
                result.document["text"] = "another answer";
                result.document["sse"]["defects"] = {"no [DONE]"};
            }
        }
        results_.push_back(result);
    }
    const Json document = to_json(summary());
    ASSERT_EQ(document["streaming"].size(), 2U);
    const Json & streaming = document["streaming"][0];
    EXPECT_EQ(streaming["n_pairs"], 4);
    EXPECT_EQ(streaming["n_same_text"], 3);
    EXPECT_NEAR(streaming["total_percent"]["mean"].get<double>(), 2.0, 1e-9);
    const double half = 3.1824 * std::sqrt(4.0 / 3.0) / 2.0;  // 1, 3, 1, 3
    EXPECT_NEAR(streaming["total_percent"]["ci95_high"].get<double>(), 2.0 + half, 1e-3);
    EXPECT_EQ(streaming["sse"]["n_defects"], 1);
    EXPECT_EQ(streaming["sse"]["first_defect"], "no [DONE]");
    EXPECT_EQ(document["rows"][0]["mode"], "stream");
}

TEST_F(SummaryOf, LoadRunsGiveFiguresPerNumberOfClients) {
    campaign_.load.clients = {4};
    campaign_.load.repeats = 3;
    for (int repeat = 1; repeat <= 3; ++repeat) {
        for (const engine::Placement placement : campaign_.placements) {
            StoredResult result;
            result.state = ResultState::valid;
            result.document = fabricated_document(engine::to_string(placement), {1000, 10.0, 20.0});
            const Json percentiles{{"p50", 10.0 * repeat}, {"p90", 20.0 * repeat}, {"p99", 30.0 * repeat}};
            result.document["load"] = {{"total_tps", 100.0 * repeat}, {"n_requests", 10},
                                       {"n_failed_requests", 1},      {"n_sse_defects", 0},
                                       {"ttft_ms", percentiles},      {"gap_ms", percentiles}};
            results_.push_back(result);
        }
    }
    runs_ = plan_runs(campaign_, 1);
    const Json document = to_json(summary());
    ASSERT_EQ(document["load"].size(), 2U);
    EXPECT_EQ(document["load"][0]["n_clients"], 4);
    EXPECT_EQ(document["load"][0]["total_tps"]["median"], 200.0);
    EXPECT_EQ(document["load"][0]["ttft_ms"]["p90"], 40.0);
    EXPECT_EQ(document["load"][0]["n_requests"], 30);
    EXPECT_EQ(document["load"][0]["n_failed_requests"], 3);
}

TEST_F(SummaryOf, AMissingRunTakesItsRowAndIsNamed) {
    results_[3] = {ResultState::failed, "does not fit", {}};
    const Summary result = summary();
    EXPECT_TRUE(result.rows.empty());
    ASSERT_EQ(result.missing.size(), 1U);
    EXPECT_EQ(result.missing[0].what, "m F16 offload, prompt b, repeat 1");
    EXPECT_TRUE(result.missing[0].failed);
}

TEST_F(SummaryOf, ARunWithoutDecodeRateIsNoFigure) {
    results_[0].document["decode_tps"] = nullptr;
    results_[0].document["n_output_tokens"] = 1;
    const Summary result = summary();
    EXPECT_TRUE(result.rows.empty());
    ASSERT_EQ(result.missing.size(), 1U);
    EXPECT_NE(result.missing[0].reason.find("1 token(s)"), std::string::npos);
}

TEST_F(SummaryOf, ADecodeRateOfZeroIsNone) {
    results_[0].document["decode_tps"] = 0.0;
    results_[0].document["n_output_tokens"] = 2;
    const Summary result = summary();
    ASSERT_EQ(result.missing.size(), 1U);
    EXPECT_EQ(result.missing[0].reason, "has no decode rate, as the answer has 2 token(s): use another prompt");
    EXPECT_EQ(result.missing[0].model, "m");
    EXPECT_EQ(result.missing[0].quantization, "F16");
    EXPECT_TRUE(result.missing[0].failed);
    EXPECT_EQ(result.n_valid_runs, 7U);
    EXPECT_EQ(result.cells[0].samples.size(), 3U);
    EXPECT_EQ(rerun_command(result, "RUN"), "RUN --retry-failed");
}

TEST_F(SummaryOf, RerunsAreRetriesOnlyOfFailures) {
    EXPECT_EQ(rerun_command(summary(), "RUN"), "RUN");
    results_[0] = {ResultState::stale, "other settings", {}};
    const Summary result = summary();
    EXPECT_FALSE(result.missing.at(0).failed);
    EXPECT_EQ(rerun_command(result, "RUN"), "RUN");
}

// Every figure of memory is of the run that needed the most VRAM, but the RAM is the most of any.
TEST_F(SummaryOf, MemoryIsOfTheLargestRun) {
    for (size_t i = 0; i < results_.size(); i += 2) {  // the baseline's
        Json & document = results_[i].document;
        const uint64_t vram = i == 4 ? 900 : 500 + i;
        document["memory"]["vram_bytes"] = vram;
        document["memory"]["vram"] = {
            {"model_bytes", vram - 10}, {"context_bytes", 2}, {"compute_bytes", 1}, {"expert_cache_bytes", 7}};
        document["memory"]["devices"] = {{{"device_used_bytes", vram * 2}}, {{"device_used_bytes", 10U}}};
        document["peak_rss_bytes"] = i == 2 ? 7777 : 100;
    }
    const Figures figures = *summary().cells[0].figures;
    EXPECT_EQ(figures.vram_bytes, 900U);
    EXPECT_EQ(figures.model_bytes, 890U);
    EXPECT_EQ(figures.context_bytes, 2U);
    EXPECT_EQ(figures.compute_bytes, 1U);
    EXPECT_EQ(figures.expert_cache_bytes, 7U);
    EXPECT_EQ(figures.device_used_bytes, 1810U);
    EXPECT_EQ(figures.peak_rss_bytes, 7777U);
}

TEST_F(SummaryOf, TheDriversFigureIsOfAllCardsOrNone) {
    const auto used = [&](const Json & devices) {
        for (StoredResult & result : results_)
            result.document["memory"]["devices"] = devices;
        return summary().cells[0].figures->device_used_bytes;
    };
    EXPECT_EQ(used({{{"device_used_bytes", 5U}}, {{"device_used_bytes", 7U}}}), 12U);
    EXPECT_EQ(used({{{"device_used_bytes", 5U}}, {{"device_used_bytes", nullptr}}}), std::nullopt);
    EXPECT_EQ(used(Json::array()), std::nullopt);
    // Of runs with the same VRAM, one whose driver says something.
    results_[2].document["memory"]["devices"] = {{{"device_used_bytes", 9U}}};
    results_[4].document["memory"]["devices"] = {{{"device_used_bytes", 11U}}};
    EXPECT_EQ(summary().cells[0].figures->device_used_bytes, 9U);
}

TEST_F(SummaryOf, WhatOneRunLacksItsCellLacks) {
    EXPECT_TRUE(summary().cells[0].cold);
    results_[2].document["cold"]["prefill_tps"] = nullptr;
    EXPECT_FALSE(summary().cells[0].cold);
    EXPECT_TRUE(summary().cells[1].cold);
    for (StoredResult & result : results_)
        result.document["expert_use"] = {{{"layer", 0}, {"expert", 0}, {"hits", 1}, {"bytes", 2}}};
    EXPECT_EQ(summary().cells[0].expert_use->at(0).hits, 4U);
    results_[2].document["expert_use"] = nullptr;
    EXPECT_FALSE(summary().cells[0].expert_use);
}

// Without streaming there is nothing to compare a run with; a figure of one of the two that is none is left out.
TEST_F(SummaryOf, PairsNeedBothRuns) {
    campaign_.modes = {Mode::stream, Mode::no_stream};
    campaign_.repeats = 1;
    runs_ = plan_runs(campaign_, 1);
    results_.clear();
    for (const lab::Run & run : runs_) {
        StoredResult result{ResultState::valid, "",
                            fabricated_document(engine::to_string(run.placement), {1000, 10.0, 20.0})};
        result.document["total_ms"] = run.mode == Mode::stream ? 110.0 : 100.0;
        results_.push_back(result);
    }
    // In the order stream baseline, stream offload, whole baseline, whole offload, of a and then of b.
    results_[2] = {ResultState::failed, "x", {}};
    results_[4].document["decode_tps"] = nullptr;
    const Summary result = summary();
    ASSERT_EQ(result.streaming.size(), 2U);
    EXPECT_EQ(result.streaming[0].n_stream_runs, 2U);
    EXPECT_EQ(result.streaming[0].total_percent.n, 1U);
    EXPECT_NEAR(result.streaming[0].total_percent.mean, 10.0, 1e-9);
    EXPECT_EQ(result.streaming[0].decode_percent.n, 0U);
    EXPECT_EQ(result.streaming[1].decode_percent.n, 2U);
    results_[6].document["total_ms"] = 0.0;
    EXPECT_EQ(summary().streaming.size(), 1U) << "by how many percent above nothing?";
}

TEST_F(SummaryOf, EveryFactIsShared) {
    for (const auto & [pointer, name] : {std::pair{"/device/name", "devices"},
                                         {"/device/description", "devices"},
                                         {"/host/cpu", "host CPUs"},
                                         {"/host/n_cores", "number of coress"},
                                         {"/n_threads", "number of threadss"},
                                         {"/shimmy_version", "shimmy versions"},
                                         {"/llama_cpp_version", "llama.cpp versions"}}) {
        const Json before = results_[5].document;
        results_[5].document[Json::json_pointer(pointer)] = "another";
        try {
            summary();
            ADD_FAILURE() << pointer;
        } catch (const Error & error) {
            const std::string said = error.what();
            EXPECT_NE(said.find(std::string("different ") + name + " cannot share"), std::string::npos) << said;
            EXPECT_NE(said.find("\"another\""), std::string::npos) << said;
        }
        results_[5].document = before;
    }
    results_[5].document["host"]["name"] = "another";
    EXPECT_EQ(summary().n_valid_runs, 8U) << "the same machine under another name";
}

TEST_F(SummaryOf, ResultsOfTwoDevicesDoNotShareATable) {
    results_[5].document["device"]["description"] = "another GPU";
    EXPECT_THROW(summary(), Error);
}

TEST_F(SummaryOf, PartialPlacementsGetTheirOwnRow) {
    campaign_.placements.push_back(engine::Placement::partial(2));
    runs_ = plan_runs(campaign_, 1);
    results_.clear();
    for (const lab::Run & run : runs_) {
        const uint64_t vram = run.placement == engine::Placement::baseline() ? 400
                              : run.placement.n_cpu_moe == 2                 ? 300
                                                                             : 100;
        StoredResult result;
        result.state = ResultState::valid;
        result.document = fabricated_document(engine::to_string(run.placement), {vram, 10.0, 20.0});
        results_.push_back(result);
    }
    const Summary result = summary();
    ASSERT_EQ(result.rows.size(), 2U);
    EXPECT_EQ(result.rows[0].saved_bytes(), 300);
    EXPECT_EQ(result.rows[1].saved_bytes(), 100);
}

}  // namespace
}  // namespace shimmy::lab
