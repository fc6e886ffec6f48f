// Tasks of a campaign: when `lab run` scores them, what it then starts, and what of an answer counts. The program is a
// stand-in that answers at once.
#include "lab/campaign/tasks.h"

#include "base/error.h"
#include "fabricated_document.h"
#include "lab/measure/summary_json.h"
#include "lab/plan/plan_file.h"
#include "lab/run/campaign_run.h"
#include "lab/run/estimate.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::lab {
namespace {

constexpr const char * FOUR_QUESTIONS =
    R"({"question": "2+2?", "choices": {"text": ["3", "4"], "label": ["A", "B"]}, "answerKey": "B"}
{"question": "2+3?", "choices": {"text": ["5", "4"], "label": ["A", "B"]}, "answerKey": "A"}
{"question": "2+4?", "choices": {"text": ["5", "6"], "label": ["A", "B"]}, "answerKey": "B"}
{"question": "2+5?", "choices": {"text": ["7", "6"], "label": ["A", "B"]}, "answerKey": "A"}
)";

class TaskRuns : public ::testing::Test {
protected:
    TaskRuns() {
        write_file_atomic(dir_ / "sums.jsonl", FOUR_QUESTIONS);
        write_file_atomic(dir_ / "m.gguf", "the F16 model");
        read("[[tasks]]\nfile = \"sums.jsonl\"\n");
        options_.program = "/bin/shimmy";
        options_.command = "shimmy lab run demo.toml";
        options_.quiet = true;
        hooks_.read_input = [](const CampaignModel &) { return InputInfo{"F16", false, 16, 4, 1024}; };
        hooks_.variant_bytes = [](const Campaign &, const Variant &) { return uint64_t{100}; };
        hooks_.make_variant = [](const Campaign &, const Variant & variant, const ByteProgress &) {
            write_file_atomic(variant.path, read_file(variant.input) + " as " + variant.quantization);
        };
        hooks_.launch = [this](const std::vector<std::string> & argv, std::chrono::milliseconds timeout) {
            return launch(argv, timeout);
        };
    }

    void read(const std::string & tasks) {
        const std::string text = fabricated_campaign(dir_.path()).text + tasks;
        campaign_ = parse_campaign(text, dir_ / "demo.toml");
    }

    ProcessResult launch(const std::vector<std::string> & argv, std::chrono::milliseconds timeout) {
        if (argv.at(1) == "eval") {
            launched_.push_back(argv);
            timeout_ = timeout;
            if (fails_) return {1, false, R"({"error": {"message": "question 2: does not fit", "exit_code": 1}})", ""};
            return {0, false, answer(argv).dump(), ""};
        }
        const bool offload = std::find(argv.begin(), argv.end(), "--cpu-moe") != argv.end();
        Json document = fabricated_document(offload ? "offload" : "baseline", {1000, 10.0, 20.0});
        const fs::path model = *(std::find(argv.begin(), argv.end(), "--model") + 1);
        document["model"]["size_bytes"] = fs::file_size(model);
        document["model"]["quantization"] = model.string().find("Q2_K") != std::string::npos ? "Q2_K" : "F16";
        return {0, false, document.dump(), ""};
    }

    // F16 gets three of four right, Q2_K the first alone.
    Json answer(const std::vector<std::string> & argv) const {
        const fs::path model = argv.at(3);
        const size_t n_right = model.string().find("Q2_K") != std::string::npos ? 1 : 3;
        Json questions = Json::array();
        for (size_t i = 1; i <= 4; ++i)
            questions.push_back({{"question", i}, {"right", {{"acc", i <= n_right}, {"acc_norm", i <= n_right}}}});
        Json document = fabricated_document("offload", {1000, 10.0, 20.0});
        document["device"]["kind"] = "cpu";  // scores need no GPU
        document["device"]["name"] = "CPU";
        document["task"] = {{"file", argv.at(5)},  {"sha256", sha256_file_hex(argv.at(5))},
                            {"form", "arc"},       {"n_questions", 4},
                            {"n_shots", 0},        {"chat", false},
                            {"random_chance", 0.5}};
        document["models"] = {{{"file", model.string()},
                               {"sha256", sha256_file_hex(model)},
                               {"placement", "offload"},
                               {"n_asked", 4},
                               {"metrics", {{"acc", {{"n_right", n_right}}}, {"acc_norm", {{"n_right", n_right}}}}},
                               {"questions", questions}}};
        if (spoil_) spoil_(document);
        return document;
    }

    size_t launches() {
        launched_.clear();
        summary_ = run_campaign(campaign_, options_, hooks_, local_executor(options_, hooks_));
        return launched_.size();
    }

    TempDir dir_;
    Campaign campaign_;
    CampaignOptions options_;
    Hooks hooks_;
    Summary summary_;
    bool fails_ = false;
    std::function<void(Json &)> spoil_;
    std::chrono::milliseconds timeout_{};
    std::vector<std::vector<std::string>> launched_;
};

TEST_F(TaskRuns, EveryQuantizationOnceAndAgainstTheOriginal) {
    EXPECT_EQ(launches(), 2U);
    EXPECT_TRUE(summary_.complete());
    EXPECT_EQ(summary_.conditions.device.name, "Vulkan0") << "that of the measured runs";
    ASSERT_EQ(summary_.tasks.size(), 2U);
    EXPECT_EQ(summary_.tasks[0].reference, "F16");
    EXPECT_FALSE(summary_.tasks[0].decisive().against_reference);
    const TaskMetric & low = summary_.tasks[1].decisive();
    EXPECT_EQ(low.name, "acc_norm");
    EXPECT_DOUBLE_EQ(low.share, 0.25);
    ASSERT_TRUE(low.against_reference);
    EXPECT_EQ(low.against_reference->paired.n_only_first, 2U);
    EXPECT_DOUBLE_EQ(low.against_reference->p, 0.5);  // both ends of two coins
    EXPECT_EQ(launches(), 0U) << "they are there";
    EXPECT_TRUE(fs::exists(campaign_.out_dir / "results/m/Q2_K/offload/task/sums-1.json"));
    EXPECT_EQ(Json::parse(read_file(campaign_.out_dir / "summary.json"))["tasks"].size(), 2U);
}

TEST_F(TaskRuns, TheCommandSaysEverything) {
    write_file_atomic(dir_ / "train.jsonl", FOUR_QUESTIONS);
    read(
        "[[tasks]]\nfile = \"sums.jsonl\"\nid = \"s\"\nshots = 2\nshots_file = \"train.jsonl\"\nlimit = 3\nn_ctx = 700\n"
        "timeout_s = 9\n");
    campaign_.n_threads = 3;
    options_.backends = {"cuda", "on"};
    spoil_ = [](Json & document) {
        document["task"]["n_shots"] = 2;
        document["task"]["n_questions"] = 3;
        document["models"][0]["n_asked"] = 3;
        document["models"][0]["questions"].erase(3);
    };
    EXPECT_EQ(launches(), 2U);
    EXPECT_TRUE(summary_.complete());
    EXPECT_EQ(timeout_, std::chrono::seconds(9));
    const std::vector<std::string> expected{"/bin/shimmy",
                                            "eval",
                                            "--model",
                                            (dir_ / "m.gguf").string(),
                                            "--task",
                                            (dir_ / "sums.jsonl").string(),
                                            "--cpu-moe",
                                            "--gpu-backend",
                                            "cuda",
                                            "--moe-backend",
                                            "on",
                                            "--moe-cache",
                                            "off",
                                            "--threads",
                                            "3",
                                            "--form",
                                            "arc",
                                            "--shots",
                                            "2",
                                            "--shots-file",
                                            (dir_ / "train.jsonl").string(),
                                            "--limit",
                                            "3",
                                            "--ctx",
                                            "700",
                                            "--max-tokens",
                                            "256",
                                            "--json"};
    EXPECT_EQ(launched_[0], expected);
    campaign_.device = "CUDA1";
    EXPECT_EQ(launches(), 2U) << "another device is another setting";
    EXPECT_EQ(launched_[0][15], "--device");
    EXPECT_EQ(launched_[0][16], "CUDA1");
}

TEST_F(TaskRuns, WhatChangedIsAskedAgain) {
    EXPECT_EQ(launches(), 2U);
    write_file_atomic(dir_ / "sums.jsonl", std::string(FOUR_QUESTIONS) + "\n");
    EXPECT_EQ(launches(), 2U) << "another file";
    write_file_atomic(dir_ / "m.gguf", "another F16 model");
    EXPECT_EQ(launches(), 2U) << "another model, and what is made of it";
    EXPECT_EQ(launches(), 0U);
}

TEST_F(TaskRuns, AFailureStaysAndStopsNothing) {
    fails_ = true;
    EXPECT_EQ(launches(), 2U);
    ASSERT_EQ(summary_.missing.size(), 2U);
    EXPECT_EQ(summary_.missing[0].what, "m F16 task sums");
    EXPECT_EQ(summary_.missing[0].reason, "question 2: does not fit");
    EXPECT_TRUE(summary_.missing[0].failed);
    EXPECT_EQ(summary_.rows.size(), 2U) << "the speeds are there";
    fails_ = false;
    EXPECT_EQ(launches(), 0U) << "it failed";
    options_.retry_failed = true;
    EXPECT_EQ(launches(), 2U);
    EXPECT_TRUE(summary_.complete());
}

TEST_F(TaskRuns, SomeAreChosen) {
    options_.only = "Q2_K/offload/task";
    EXPECT_EQ(launches(), 1U);
    EXPECT_TRUE(summary_.rows.empty());
    EXPECT_FALSE(summary_.has_figures()) << "a score is no measured speed";
    ASSERT_EQ(summary_.tasks.size(), 1U);
    EXPECT_EQ(summary_.tasks[0].reference, "") << "the original has no result";
}

// A document counts for the task and the file that were asked for, if its sums are those of its questions.
TEST_F(TaskRuns, AnAnswerOfSomethingElseIsNoResult) {
    using Path = Json::json_pointer;
    for (const auto & [pointer, value, reason] : std::vector<std::tuple<std::string, Json, std::string>>{
             {"/task/sha256", "other", "task/sha256"},
             {"/task/form", "mmlu", "task/form"},
             {"/task/n_shots", 1, "task/n_shots"},
             {"/task/n_questions", 5, "task/n_questions"},
             {"/task/chat", true, "task/chat"},
             {"/task/random_chance", "half", "chance"},
             {"/models/0/sha256", "other", "models/0/sha256"},
             {"/models/0/n_asked", 3, "4 of 4 questions"},
             {"/models/0/metrics/acc_norm/n_right", 4, "counts 4 right answers in acc_norm"},
             {"/models/0/metrics", 3, "lacks scores"},
             {"/models/0/questions/2/right/acc", "yes", "a question without acc"},
             {"/models/0/questions/2", 7, "a question without acc"},
             {"/models", Json::array(), "lacks models"},
             {"/host", 3, "lacks host"},
             {"/shimmy_version", nullptr, "lacks shimmy_version"}}) {
        spoil_ = [&](Json & document) { document[Path(pointer)] = value; };
        options_.retry_failed = true;
        launches();
        ASSERT_FALSE(summary_.missing.empty()) << pointer;
        EXPECT_NE(summary_.missing[0].reason.find(reason), std::string::npos) << summary_.missing[0].reason;
    }
    spoil_ = nullptr;
    EXPECT_EQ(launches(), 2U);
    EXPECT_TRUE(summary_.complete());
}

TEST_F(TaskRuns, WhatIsWrongWithAFileIsToldBeforeTheRuns) {
    write_file_atomic(dir_ / "sums.jsonl", "{\"question\": \"2+2?\"}\n");
    EXPECT_THROW(launches(), UsageError);
    fs::remove(dir_ / "sums.jsonl");
    try {
        launches();
        FAIL();
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("the file of task 'sums' is not there"), std::string::npos);
    }
    EXPECT_FALSE(fs::exists(campaign_.out_dir / "results"));
}

// The stored plan knows the task without its file.
TEST_F(TaskRuns, TheStoredPlanNeedsNoTaskFile) {
    EXPECT_EQ(launches(), 2U);
    fs::remove(dir_ / "sums.jsonl");
    const CampaignPlan plan = read_plan(campaign_.out_dir);
    EXPECT_EQ(plan.campaign.tasks[0].form, "arc");
    EXPECT_EQ(plan.campaign.tasks[0].n_questions, 4U);
    EXPECT_EQ(to_json(summarize_campaign(plan)), to_json(summary_));
}

// Each question is "Question: 2+2?\nAnswer:" with " 3" or " 4": 2 x 24 letters of 4 questions, 4 to a token, 100 tokens
// a second.
TEST_F(TaskRuns, ItsTimeIsEstimatedFromItsLetters) {
    const CampaignPlan plan = plan_campaign(campaign_, options_, hooks_);
    EXPECT_EQ(plan.campaign.tasks[0].n_chars, 4U * 2U * std::string("Question: 2+2?\nAnswer: 3").size());
    std::vector<size_t> runs;
    for (size_t i = 0; i < plan.runs.size(); ++i) {
        if (plan.runs[i].mode == Mode::task && plan.variant_of(i).is_input()) runs.push_back(i);
    }
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_NEAR(estimate(plan, {}, runs, {}, hooks_).time_s(), 192.0 / 4.0 / 100.0, 1e-6);
    EXPECT_NE(estimate_assumptions(campaign_).find("4 letters in a token"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::lab
