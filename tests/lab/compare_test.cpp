// Two folders against each other; the figures are those of axes_campaign.h.
#include "lab/compare/comparison.h"

#include "axes_campaign.h"
#include "base/error.h"
#include "lab/measure/summary_json.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <cmath>

namespace shimmy::lab {
namespace {

class CompareOf : public ::testing::Test {
protected:
    // The folder of a campaign with these figures.
    fs::path folder(const std::string & name, const std::function<void(const lab::Run &, Json &)> & change = {},
                    const std::function<void(Json &)> & edit = {}) {
        const auto unchanged = [](const lab::Run &, Json &) {};
        Json summary = to_json(summarize_campaign(axes_plan(dir_.path(), TWO_AXES, change ? change : unchanged)));
        if (edit) edit(summary);
        fs::create_directories(dir_ / name);
        write_file_atomic(dir_ / name / "summary.json", summary.dump());
        return dir_ / name;
    }

    static Comparison compare(const fs::path & a, const fs::path & b) {
        return compare_campaigns(read_measured(a), read_measured(b));
    }

    TempDir dir_;
};

// The second version decodes 10% slower with offload; the ratio is e^-0.01, 1 and e^0.01 of that in the three repeats.
void slower_offload(const lab::Run & run, Json & document) {
    if (run.placement.offloads())
        document["decode_tps"] = document["decode_tps"].get<double>() * 0.9 * std::exp(0.01 * (run.repeat - 2));
}

TEST_F(CompareOf, TheSameIsTheSame) {
    const Comparison same = compare(folder("a"), folder("b"));
    EXPECT_EQ(same.n_changed(), 0U);
    EXPECT_EQ(same.cells.size(), 8U);
    EXPECT_TRUE(same.environment.empty());
    EXPECT_TRUE(same.only_in_a.empty());
    EXPECT_EQ(same.cells[0].n_prompts, 1U);
    EXPECT_EQ(same.cells[0].n_other_answers, 0U);
}

TEST_F(CompareOf, AChangeBeyondNoiseIsNamed) {
    const Comparison slower = compare(folder("a"), folder("b", slower_offload));
    EXPECT_EQ(slower.n_changed(), 4U) << "the four points with offload";
    for (const CellChange & cell : slower.cells) {
        EXPECT_EQ(cell.changed(), cell.key.placement == "offload") << cell.key.text();
        ASSERT_EQ(cell.n_pairs(), 3U);
        if (!cell.changed()) continue;
        EXPECT_NEAR(cell.decode.mean, -10.0, 1e-9);
        EXPECT_NEAR(*cell.decode.low, 100.0 * (0.9 * std::exp(-4.3027 * 0.01 / std::sqrt(3.0)) - 1.0), 1e-3);
        EXPECT_FALSE(cell.prefill.is_clear());
    }
}

TEST_F(CompareOf, NoiseIsNoChange) {
    const auto noisy = [](const lab::Run & run, Json & document) {
        document["decode_tps"] = document["decode_tps"].get<double>() * (1.0 + 0.05 * (run.repeat - 2));
    };
    EXPECT_EQ(compare(folder("a"), folder("b", noisy)).n_changed(), 0U) << "-5, 0 and 5 percent";
}

TEST_F(CompareOf, WhatTheEnvironmentsDifferInIsNamed) {
    const Comparison other = compare(folder("a"), folder("b", {}, [](Json & summary) {
                                         summary["llama_cpp_version"] = "0.7.0";
                                         summary["host"]["cpu"] = "Another CPU";
                                         summary["settings"]["seed"] = 7;
                                     }));
    ASSERT_EQ(other.environment.size(), 3U);
    EXPECT_EQ(other.environment[0].name, "llama.cpp version");
    EXPECT_EQ(other.environment[0].a, "0.5.0");
    EXPECT_EQ(other.environment[0].b, "0.7.0");
    EXPECT_EQ(other.environment[1].name, "CPU");
    EXPECT_EQ(other.environment[2].name, "seed");
}

TEST_F(CompareOf, MemoryAnswersAndFiles) {
    const Comparison other =
        compare(folder("a"), folder(
                                 "b",
                                 [](const lab::Run & run, Json & document) {
                                     if (!run.placement.offloads()) return;
                                     document["memory"]["vram_bytes"] = 1001;
                                     document["text"] = "another answer";
                                 },
                                 [](Json & summary) { summary["variants"][0]["model_sha256"] = "def"; }));
    const CellChange & offload = other.cells.back();
    ASSERT_EQ(offload.key.placement, "offload");
    EXPECT_TRUE(offload.vram_changed()) << "1000 and 1001";
    EXPECT_TRUE(offload.changed());
    EXPECT_EQ(offload.n_other_answers, 1U);
    EXPECT_FALSE(offload.same_file);
    EXPECT_FALSE(other.cells.front().vram_changed());
    EXPECT_EQ(to_json(other, read_measured(dir_ / "a"), read_measured(dir_ / "b"))["n_changed"], 4);
}

TEST_F(CompareOf, RunsOfAnotherPromptTextAreNotCompared) {
    const Comparison other = compare(folder("a"), folder("b", slower_offload, [](Json & summary) {
                                         summary["settings"]["prompts"][0]["text"] = "Another text a";
                                     }));
    EXPECT_EQ(other.other_prompts, std::vector<std::string>{"a"});
    EXPECT_EQ(other.cells[4].n_pairs(), 0U);
    EXPECT_EQ(other.n_changed(), 0U);
}

TEST_F(CompareOf, WhatOnlyOneHas) {
    const fs::path a = folder("a");
    const fs::path b = folder("b", {}, [](Json & summary) {
        summary["cells"].erase(0);
        summary["cells"][0]["placement"] = "n_cpu_moe=2";
    });
    const Comparison other = compare(a, b);
    EXPECT_EQ(other.only_in_a.size(), 2U);
    ASSERT_EQ(other.only_in_b.size(), 1U);
    EXPECT_EQ(other.only_in_b[0].text(), "m F16 n_cpu_moe=2, generate, ubatch 256, threads 4");
    const fs::path c = folder("c", {}, [](Json & summary) { summary["cells"] = Json::array(); });
    EXPECT_THROW(compare(a, c), Error) << "nothing in common";
}

// Of 40 questions, A has the first `n_a` right, B the first `n_b`.
TEST_F(CompareOf, ScoresQuestionByQuestion) {
    const auto with_scores = [&](const std::string & name, size_t n_right, const std::string & task_sha256) {
        Json questions = Json::array();
        for (size_t i = 1; i <= 40; ++i)
            questions.push_back({{"question", i}, {"right", {{"acc", false}, {"acc_norm", i <= n_right}}}});
        fs::create_directories(dir_ / name / "results");
        write_file_atomic(dir_ / name / "results/arc.json", Json{{"models", {{{"questions", questions}}}}}.dump());
        return folder(name, {}, [=](Json & summary) {
            summary["settings"]["tasks"] = {{{"task", "arc"}, {"task_sha256", task_sha256}, {"file", name + ".jsonl"}}};
            const Json acc{{"name", "acc"}, {"share", 0.0}};
            const Json acc_norm{{"name", "acc_norm"}, {"share", static_cast<double>(n_right) / 40}};
            summary["tasks"] = {{{"model", "m"},
                                 {"quantization", "F16"},
                                 {"task", "arc"},
                                 {"metrics", {acc, acc_norm}},
                                 {"file", "results/arc.json"}}};
        });
    };
    const fs::path a = with_scores("a", 30, "x");
    const Comparison worse = compare(a, with_scores("b", 18, "x"));
    ASSERT_EQ(worse.tasks.size(), 1U);
    const TaskChange & task = worse.tasks[0];
    EXPECT_EQ(task.key.text(), "m F16, task arc");
    EXPECT_EQ(task.metric, "acc_norm");
    EXPECT_EQ(task.share_a, 0.75);
    EXPECT_EQ(task.share_b, 0.45);
    EXPECT_EQ(task.paired.n_only_first, 12U);
    EXPECT_EQ(task.paired.n_only_second, 0U);
    EXPECT_NEAR(task.p(), 2.0 / 4096.0, 1e-12) << "twelve heads in a row, two-sided";
    EXPECT_TRUE(task.changed());
    EXPECT_EQ(worse.n_changed(), 1U);

    const Comparison noise = compare(a, with_scores("b", 29, "x"));
    EXPECT_EQ(noise.tasks.at(0).paired.n_only_first, 1U);
    EXPECT_FALSE(noise.tasks.at(0).changed());
    EXPECT_EQ(noise.n_changed(), 0U);

    const Comparison other = compare(a, with_scores("b", 18, "y"));
    EXPECT_EQ(other.other_tasks, std::vector<std::string>{"arc"});
    EXPECT_TRUE(other.tasks.empty());

    const fs::path b = with_scores("b", 18, "x");
    fs::remove(b / "results/arc.json");
    const Comparison unpaired = compare(a, b);
    EXPECT_EQ(unpaired.tasks.at(0).paired.n, 0U);
    EXPECT_FALSE(unpaired.tasks.at(0).changed());
    const Json document = to_json(unpaired, read_measured(a), read_measured(b));
    EXPECT_TRUE(document["tasks"][0]["difference_ci95"].is_null());
    EXPECT_EQ(compare(a, folder("c")).only_in_a.back().task, "arc");
}

TEST_F(CompareOf, LoadTestsByTheirIntervals) {
    const auto with_load = [](double mean, double high) {
        return [=](Json & summary) {
            summary["load"].push_back({{"model", "m"},
                                       {"quantization", "F16"},
                                       {"placement", "offload"},
                                       {"n_clients", 4},
                                       {"vram_bytes", 1000},
                                       {"total_tps", {{"n", 2}, {"mean", mean}, {"ci95_high", high}}}});
        };
    };
    const fs::path a = folder("a", {}, with_load(100.0, 104.0));
    EXPECT_EQ(compare(a, folder("b", {}, with_load(109.9, 116.0))).n_changed(), 0U) << "96-104 and 103.8-116";
    EXPECT_EQ(compare(a, folder("b", {}, with_load(110.1, 116.0))).n_changed(), 1U) << "96-104 and 104.2-116";
}

TEST_F(CompareOf, FoldersThatAreNone) {
    const auto reason = [](const fs::path & dir) -> std::string {
        try {
            read_measured(dir);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    };
    EXPECT_NE(reason(dir_ / "absent").find("no such folder"), std::string::npos);
    EXPECT_NE(reason(dir_.path()).find("holds no summary.json"), std::string::npos);
    fs::create_directories(dir_ / "bad");
    write_file_atomic(dir_ / "bad/summary.json", "{\"campaign\": 3}");
    EXPECT_NE(reason(dir_ / "bad").find("is no summary of a campaign"), std::string::npos);
    write_file_atomic(dir_ / "bad/summary.json", "[");
    EXPECT_NE(reason(dir_ / "bad").find("is no summary of a campaign"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::lab
