// What is asked of Slurm, whose programs are scripts here: they write down how they were called and answer from files.
#include "lab/run/slurm.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "fabricated_document.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>

namespace shimmy::lab {
namespace {

// squeue answers with the first of queue.1, queue.2, … that is left, and takes it away; the last stays.
constexpr const char * SQUEUE = R"sh(#!/bin/sh
cd "$(dirname "$0")"
echo "squeue $*" >> calls
n=$(cat turn 2>/dev/null || echo 1)
[ -e queue.$((n + 1)) ] && echo $((n + 1)) > turn
cat queue.$n
[ -e failing.$n ] && { cat failing.$n >&2; exit 1; }
exit 0
)sh";
constexpr const char * SBATCH = R"sh(#!/bin/sh
cd "$(dirname "$0")"
echo "sbatch $*" >> calls
cat answer
[ -e refusal ] && { cat refusal >&2; exit 1; }
exit 0
)sh";
constexpr const char * SCANCEL = R"sh(#!/bin/sh
cd "$(dirname "$0")"
echo "scancel $*" >> calls
)sh";

// squeue that does something before it answers.
std::string replace_queue(const std::string & command) {
    std::string script = SQUEUE;
    const std::string before = "cat queue.$n\n";
    return script.insert(script.find(before), command + " 2>/dev/null\n");
}

class SlurmOf : public ::testing::Test {
protected:
    SlurmOf() : path_(std::getenv("PATH")) {
        fs::create_directories(bin());
        write_program("squeue", SQUEUE);
        write_program("sbatch", SBATCH);
        write_program("scancel", SCANCEL);
        write_file_atomic(bin() / "answer", "77\n");
        queue({""});
        ::setenv("PATH", (bin().string() + ":" + path_).c_str(), 1);
        plan_.campaign = fabricated_campaign(dir_.path());
        plan_.campaign.timeout_s = 150;
        plan_.variants = {{"m", "F16", "/m.gguf", "/m.gguf"}};
        plan_.sha256 = {"abc"};
        plan_.errors = {""};
        plan_.runs = plan_runs(plan_.campaign, 1);
        plan_.results.resize(plan_.runs.size());
        options_.program = "/opt/it's here/shimmy";
        options_.quiet = true;
        fs::create_directories(plan_.campaign.out_dir);
    }
    ~SlurmOf() override { ::setenv("PATH", path_.c_str(), 1); }

    fs::path bin() const { return dir_ / "bin"; }
    void write_program(const std::string & name, const std::string & script) const {
        write_file_atomic(bin() / name, script);
        fs::permissions(bin() / name, fs::perms::owner_all);
    }
    fs::path slurm_dir() const { return plan_.campaign.out_dir / "slurm"; }
    void queue(const std::vector<std::string> & answers) const {
        for (size_t i = 0; i < answers.size(); ++i)
            write_file_atomic(bin() / fmt::format("queue.{}", i + 1), answers[i]);
    }
    std::vector<std::string> calls() const {
        std::vector<std::string> lines;
        std::istringstream text(fs::exists(bin() / "calls") ? read_file(bin() / "calls") : "");
        for (std::string line; std::getline(text, line);)
            lines.push_back(line);
        return lines;
    }
    void run(const std::vector<size_t> & runs) const {
        RunStateFile state(plan_.campaign.out_dir);
        slurm_executor(options_, {{"--gres=gpu:1", "-p a100"}, std::chrono::milliseconds(1)})(plan_, runs, state);
    }
    std::string error(const std::vector<size_t> & runs) const {
        try {
            run(runs);
        } catch (const Error & error) {
            return error.what();
        }
        return "";
    }
    void write_result(size_t run) const {
        Json document = fabricated_document(engine::to_string(plan_.runs[run].placement), {1000, 10.0, 20.0});
        document["run"] = {{"settings", plan_.settings_of(run)}};
        fs::create_directories(plan_.result_path_of(run).parent_path());
        write_file_atomic(plan_.result_path_of(run), document.dump());
    }

    TempDir dir_;
    std::string path_;
    CampaignPlan plan_;
    CampaignOptions options_;
};

TEST_F(SlurmOf, OneArrayOfAllRuns) {
    queue({"PENDING\nPENDING\nPENDING\n", "RUNNING\nPENDING\n", "COMPLETING\n", ""});
    run({0, 1, 3});
    const auto lines = calls();
    ASSERT_EQ(lines.size(), 5U) << ::testing::PrintToString(lines);
    const std::string dir = slurm_dir().string();
    // 150 s are 2 whole minutes and a part, and two more to load and to write.
    EXPECT_EQ(lines[0], fmt::format("sbatch --parsable --exclusive --job-name=shimmy-demo --time=5 --array=0-1,3 "
                                    "--output={0}/%A_%a.log --gres=gpu:1 -p a100 {0}/task.sh",
                                    dir));
    for (size_t i = 1; i < lines.size(); ++i)
        EXPECT_EQ(lines[i], "squeue --noheader --array --format=%T --jobs=77");
    EXPECT_EQ(read_file(slurm_dir() / "task.sh"),
              fmt::format("#!/bin/sh\nexec '/opt/it'\\''s here/shimmy' lab cell '{}' \"$SLURM_ARRAY_TASK_ID\"\n",
                          plan_.campaign.out_dir.string()));
    EXPECT_FALSE(fs::exists(slurm_dir() / "job")) << "nothing is left to wait for";
}

TEST_F(SlurmOf, TheClusterMayBeNamed) {
    write_file_atomic(bin() / "answer", "78;north\n");
    run({0});
    EXPECT_EQ(calls()[1], "squeue --noheader --array --format=%T --jobs=78");
}

TEST_F(SlurmOf, NothingToRunIsNothingToSubmit) {
    run({});
    EXPECT_TRUE(calls().empty());
}

TEST_F(SlurmOf, SlurmsReasonIsTold) {
    write_file_atomic(bin() / "refusal", "sbatch: error: no such partition\n\n");
    EXPECT_EQ(error({0}), "Slurm did not take the job: sbatch: error: no such partition");
    fs::remove(bin() / "refusal");
    for (const char * answer : {"", "$(reboot)\n", "-1\n", "7 7\n"}) {
        write_file_atomic(bin() / "answer", answer);
        EXPECT_NE(error({0}).find("is no job id"), std::string::npos) << answer;
    }
}

// A job that an earlier process left is waited for, and only what it did not bring is submitted.
TEST_F(SlurmOf, AJobThatWasLeftIsWaitedFor) {
    fs::create_directories(slurm_dir());
    write_file_atomic(slurm_dir() / "job", "55\n");
    queue({"RUNNING\n", ""});
    write_result(0);
    write_result(1);
    run({0, 1, 2, 3});
    const auto lines = calls();
    ASSERT_GE(lines.size(), 3U);
    EXPECT_EQ(lines[0], "squeue --noheader --array --format=%T --jobs=55");
    const auto submitted =
        std::find_if(lines.begin(), lines.end(), [](const std::string & line) { return line.starts_with("sbatch"); });
    ASSERT_NE(submitted, lines.end());
    EXPECT_NE(submitted->find("--array=2-3 "), std::string::npos) << *submitted;
}

TEST_F(SlurmOf, AJobThatIsOverOrNoneIsNotWaitedFor) {
    fs::create_directories(slurm_dir());
    write_file_atomic(slurm_dir() / "job", "55\n");
    run({3});
    EXPECT_NE(calls()[1].find("--array=3 "), std::string::npos) << calls()[1];
    fs::remove(bin() / "calls");
    fs::remove(bin() / "turn");
    write_file_atomic(slurm_dir() / "job", "55; touch hacked\n");
    run({3});
    EXPECT_TRUE(calls()[0].starts_with("sbatch ")) << calls()[0];
}

TEST_F(SlurmOf, AnIdThatSlurmHasForgottenIsOver) {
    write_file_atomic(bin() / "failing.1", "slurm_load_jobs error: Invalid job id specified\n");
    run({0});
    EXPECT_EQ(calls().size(), 2U);
}

TEST_F(SlurmOf, AControllerThatRestartsIsNoReasonToGiveUp) {
    std::vector<std::string> answers(13, "");
    for (size_t i = 1; i <= 11; ++i)
        write_file_atomic(bin() / fmt::format("failing.{}", i), "Unable to contact slurm controller\n");
    answers[11] = "RUNNING\n";
    queue(answers);
    EXPECT_EQ(error({0}), "");
    // Twelve in a row are one; eleven before an answer do not count any more.
    for (size_t i = 1; i <= 14; ++i)
        write_file_atomic(bin() / fmt::format("failing.{}", i), "Unable to contact slurm controller\n");
    fs::remove(bin() / "turn");
    EXPECT_EQ(error({0}), "Slurm's squeue does not answer: job 77 may still run; the same command waits for it");
    EXPECT_EQ(read_file(slurm_dir() / "job"), "77\n");
}

TEST_F(SlurmOf, TheStateSaysHowManyAreLeft) {
    queue({"PENDING\nRUNNING\nRUNNING\n"});
    write_program("squeue",
                  replace_queue(fmt::format("cp '{}' '{}'", (plan_.campaign.out_dir / "running.json").string(),
                                            (dir_ / "seen.json").string())));
    write_file_atomic(bin() / "queue.2", "PENDING\nRUNNING\nRUNNING\n");
    write_file_atomic(bin() / "queue.3", "");
    run({0, 1, 2, 3});
    const Json seen = Json::parse(read_file(dir_ / "seen.json"));
    EXPECT_EQ(seen["phase"], "slurm");
    EXPECT_EQ(seen["current"], "job 77: 1 tasks wait, 2 run");
    EXPECT_EQ(seen["n_done"], 1);
    EXPECT_EQ(seen["n_total"], 4);
}

TEST_F(SlurmOf, CtrlCCancelsTheJob) {
    queue({"RUNNING\n"});
    EXPECT_EXIT(
        {
            install_interrupt_handler();
            const std::jthread later([this] {
                while (calls().size() < 2)
                    std::this_thread::sleep_for(std::chrono::milliseconds(10));
                ::kill(::getpid(), SIGINT);
            });
            RunStateFile state(plan_.campaign.out_dir);
            try {
                slurm_executor(options_, {{}, std::chrono::minutes(1)})(plan_, {0, 1}, state);
            } catch (const Interrupted &) {
                ::_exit(7);
            }
            ::_exit(0);
        },
        ::testing::ExitedWithCode(7), "");
    const auto lines = calls();
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[2], "scancel 77");
}

TEST(Slurm, ArrayRanges) {
    EXPECT_EQ(array_ranges({}), "");
    EXPECT_EQ(array_ranges({4}), "4");
    EXPECT_EQ(array_ranges({0, 1}), "0-1");
    EXPECT_EQ(array_ranges({0, 2, 3, 4, 9}), "0,2-4,9");
}

}  // namespace
}  // namespace shimmy::lab
