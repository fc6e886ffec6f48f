// The summary of a campaign whose runs are given: whole, and with gaps. The files in tests/lab/expected/ hold all of
// it; the figures that people decide by are worked out by hand here, from the tables in given_campaign.h, so that
// renewing a file cannot bless a wrong one.
#include "lab/measure/summary_json.h"

#include "given_campaign.h"

#include "expected_file.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cmath>

namespace shimmy::lab {
namespace {

// t of 95% for 5 and for 1 degrees of freedom, from the printed tables.
constexpr double T5 = 2.5706;
constexpr double T1 = 12.7062;

class GivenSummary : public ::testing::Test {
protected:
    GivenSummary() : summary_(to_json(summarize_campaign(given_plan(dir_.path())))) {}

    static const Json & find(const Json & list, const std::string & model, const std::string & type,
                             const std::string & placement, const std::string & mode = "") {
        for (const Json & entry : list) {
            if (entry["model"] == model && entry["quantization"] == type && entry["placement"] == placement &&
                (mode.empty() || entry["mode"] == mode))
                return entry;
        }
        throw std::logic_error("not in the list: " + type + " " + placement);
    }
    const Json & cell(const std::string & type, const std::string & placement,
                      const std::string & mode = "generate") const {
        return find(summary_["cells"], "alpha", type, placement, mode);
    }
    const Json & row(const std::string & type, const std::string & placement) const {
        return find(summary_["rows"], "alpha", type, placement);
    }

    TempDir dir_;
    Json summary_;
};

TEST_F(GivenSummary, IsAsExpected) {
    expect_as("lab/expected/whole.json", readable(rounded(summary_)) + "\n", dir_.path());
    const Json gaps = to_json(summarize_campaign(plan_with_gaps(dir_.path())));
    expect_as("lab/expected/gaps.json", readable(rounded(gaps)) + "\n", dir_.path());
}

TEST_F(GivenSummary, ACellsStatistics) {
    const Json & decode = cell("Q4_K_M", "offload")["decode_tps"];  // 20 times .90 .94 .98 1.00 1.02 1.04
    EXPECT_EQ(decode["n"], 6);
    EXPECT_NEAR(decode["min"].get<double>(), 18.0, 1e-9);
    EXPECT_NEAR(decode["q1"].get<double>(), 20.0 * (0.94 + 0.25 * 0.04), 1e-9);  // position 1.25
    EXPECT_NEAR(decode["median"].get<double>(), 20.0 * 0.99, 1e-9);
    EXPECT_NEAR(decode["q3"].get<double>(), 20.0 * (1.00 + 0.75 * 0.02), 1e-9);  // position 3.75
    EXPECT_NEAR(decode["max"].get<double>(), 20.8, 1e-9);
    EXPECT_NEAR(decode["mean"].get<double>(), 19.6, 1e-9);
    // Deviations from .98: .08 .04 0 .02 .04 .06, their squares .0136 together.
    const double stddev = 20.0 * std::sqrt(0.0136 / 5.0);
    EXPECT_NEAR(decode["stddev"].get<double>(), stddev, 1e-9);
    EXPECT_NEAR(decode["ci95_low"].get<double>(), 19.6 - T5 * stddev / std::sqrt(6.0), 1e-3);
    EXPECT_NEAR(decode["ci95_high"].get<double>(), 19.6 + T5 * stddev / std::sqrt(6.0), 1e-3);
    EXPECT_NEAR(cell("Q8_0", "baseline")["ttft_ms"]["median"].get<double>(), 160.0, 1e-9);
    EXPECT_NEAR(cell("Q8_0", "baseline")["cold"]["ttft_ms"]["median"].get<double>(), 320.0, 1e-9);
    EXPECT_EQ(cell("Q8_0", "baseline")["prefill_tps"]["mean"], 125.0);
    EXPECT_EQ(cell("Q8_0", "baseline")["load_ms"]["median"], 1100.0);
}

TEST_F(GivenSummary, MemoryOfACell) {
    const Json & memory = cell("Q8_0", "offload");
    EXPECT_EQ(memory["vram_bytes"], 8589934592);  // 8 GiB
    EXPECT_EQ(memory["vram"]["model_bytes"], 8589934592 - 268435456);
    EXPECT_EQ(memory["vram"]["context_bytes"], 201326592);
    EXPECT_EQ(memory["vram"]["compute_bytes"], 67108864);
    EXPECT_EQ(memory["device_used_bytes"], 8589934592 / 2 + 8589934592) << "of both cards";
    EXPECT_EQ(memory["peak_rss_bytes"], 3221225472 - 134217728);  // 3 GiB - 8 GiB / 64
}

TEST_F(GivenSummary, ExpertUseIsSummedOverTheRuns) {
    // Layer 1 has 1, 2 and 3 hits for either prompt; layer 0 ten each time.
    EXPECT_EQ(cell("Q8_0", "offload")["expert_use"],
              (Json{{{"layer", 0}, {"expert", 2}, {"hits", 60}, {"bytes", 6000}},
                    {{"layer", 1}, {"expert", 3}, {"hits", 12}, {"bytes", 600}}}));
    EXPECT_TRUE(cell("Q8_0", "baseline")["expert_use"].is_null());
}

TEST_F(GivenSummary, SavingsAndSlowdowns) {
    ASSERT_EQ(summary_["rows"].size(), 10U);
    EXPECT_EQ(row("Q8_0", "offload")["saved_bytes"], 36 * 1073741824LL);
    EXPECT_NEAR(row("Q8_0", "offload")["saved_percent"].get<double>(), 100.0 * 36 / 44, 1e-9);
    EXPECT_NEAR(row("Q8_0", "offload")["slowdown"].get<double>(), 5.0, 1e-9);
    EXPECT_NEAR(row("Q2_K", "n_cpu_moe=2")["saved_percent"].get<double>(), 31.25, 1e-9);
    EXPECT_NEAR(row("Q2_K", "n_cpu_moe=2")["slowdown"].get<double>(), 0.9, 1e-9);
    EXPECT_EQ(row("Q4_K_M", "offload")["file_size_bytes"], 23 * 1073741824LL);
}

// Wilson's interval of 320 in 400 is 0.7580 to 0.8363. Against Q8_0 only one of Q4_K_M's answers differs: with one more
// pair for each alone, 2 and 1 in 402, -0.00249 +- 1.96 sqrt((3/402 - 0.00249^2) / 402), which is 0.00844.
TEST_F(GivenSummary, TasksAgainstTheLargestFile) {
    const auto task = [&](const std::string & type, const std::string & id) -> const Json & {
        for (const Json & entry : summary_["tasks"]) {
            if (entry["model"] == "alpha" && entry["quantization"] == type && entry["task"] == id) return entry;
        }
        throw std::logic_error("no such task");
    };
    const Json & reference = task("Q8_0", "arc");
    EXPECT_EQ(reference["reference"], "Q8_0");
    EXPECT_EQ(reference["file"], "results/alpha/Q8_0/offload/task/arc-1.json");
    const Json & acc_norm = reference["metrics"][1];
    EXPECT_EQ(acc_norm["metric"], "acc_norm");
    EXPECT_DOUBLE_EQ(acc_norm["share"].get<double>(), 0.8);
    EXPECT_NEAR(acc_norm["ci95"][0].get<double>(), 0.7580, 5e-5);
    EXPECT_NEAR(acc_norm["ci95"][1].get<double>(), 0.8363, 5e-5);
    EXPECT_TRUE(acc_norm["against_reference"].is_null());
    const Json & near = task("Q4_K_M", "arc")["metrics"][1]["against_reference"];
    EXPECT_EQ(near["n_both_right"], 319);
    EXPECT_EQ(near["n_only_reference_right"], 1);
    EXPECT_EQ(near["n_only_this_right"], 0);
    EXPECT_DOUBLE_EQ(near["difference"].get<double>(), -0.0025);
    EXPECT_NEAR(near["difference_ci95"][0].get<double>(), -0.00249 - 0.00844, 2e-5);
    EXPECT_NEAR(near["difference_ci95"][1].get<double>(), -0.00249 + 0.00844, 2e-5);
    EXPECT_DOUBLE_EQ(near["mcnemar_p"].get<double>(), 1.0);
    const Json & sums = task("Q4_K_M", "sums")["metrics"][1]["against_reference"];  // 2 to 6 against 1 to 5
    EXPECT_EQ(sums["n_only_reference_right"], 1);
    EXPECT_EQ(sums["n_only_this_right"], 1);
    for (const Json & entry : summary_["tasks"])
        EXPECT_NE(entry["model"], "gamma") << "random weights answer nothing";
}

TEST_F(GivenSummary, TheOneOutlier) {
    size_t n_outliers = 0;
    for (const Json & of_mode : summary_["cells"]) {
        for (const Json & sample : of_mode["samples"])
            n_outliers += sample["outlier_in"].size();
    }
    EXPECT_EQ(n_outliers, 1U);
    const Json & sample = cell("Q2_K", "offload")["samples"][3];  // 150 ms * 4.2 in place of 2.2
    EXPECT_EQ(sample["file"], "results/alpha/Q2_K/offload/generate/b-2.json");
    EXPECT_NEAR(sample["ttft_ms"].get<double>(), 630.0, 1e-9);
    EXPECT_EQ(sample["outlier_in"], Json::array({"ttft_ms"}));
    EXPECT_EQ(cell("Q2_K", "offload")["ttft_ms"]["n_outliers"], 1);
}

TEST_F(GivenSummary, StreamingPairByPair) {
    const Json & longer = find(summary_["streaming"], "alpha", "Q8_0", "baseline");
    EXPECT_EQ(longer["n_pairs"], 6);
    EXPECT_NEAR(longer["total_percent"]["mean"].get<double>(), 2.0, 1e-9);
    // 1, 2, 3, 1, 2, 3: squares of the deviations are 4 together.
    EXPECT_NEAR(longer["total_percent"]["ci95_low"].get<double>(), 2.0 - T5 * std::sqrt(4.0 / 5.0 / 6.0), 1e-3);
    EXPECT_NEAR(longer["decode_percent"]["mean"].get<double>(), 1.0, 1e-9);
    const Json & defective = find(summary_["streaming"], "alpha", "Q4_K_M", "offload");
    EXPECT_NEAR(defective["total_percent"]["mean"].get<double>(), -2.0, 1e-9);
    EXPECT_EQ(defective["n_same_text"], 5);
    EXPECT_EQ(defective["sse"], (Json{{"n_runs", 6}, {"n_defects", 2}, {"first_defect", "line '<br>' is no event"}}));
}

TEST_F(GivenSummary, LoadOfTwoRepeats) {
    const Json * load = nullptr;
    for (const Json & entry : summary_["load"]) {
        const bool wanted =
            entry["quantization"] == "Q2_K" && entry["placement"] == "baseline" && entry["n_clients"] == 4;
        if (wanted) load = &entry;
    }
    ASSERT_NE(load, nullptr);
    // 360 * .99 and 360 * 1.01: their standard deviation is 3.6 * sqrt(2).
    EXPECT_NEAR((*load)["total_tps"]["mean"].get<double>(), 360.0, 1e-9);
    EXPECT_NEAR((*load)["total_tps"]["ci95_high"].get<double>(), 360.0 + T1 * 3.6, 1e-2);
    EXPECT_EQ((*load)["n_runs"], 2);
    EXPECT_EQ((*load)["vram_bytes"], 16 * 1073741824LL);
    EXPECT_EQ((*load)["n_requests"], 80);
    EXPECT_EQ((*load)["n_failed_requests"], 3);                                              // 1 and 2
    EXPECT_EQ((*load)["ttft_ms"], (Json{{"p50", 420.0}, {"p90", 840.0}, {"p99", 1260.0}}));  // medians of n and 2 n
    EXPECT_EQ((*load)["gap_ms"], (Json{{"p50", 6.0}, {"p90", 12.0}, {"p99", 18.0}}));
}

}  // namespace
}  // namespace shimmy::lab
