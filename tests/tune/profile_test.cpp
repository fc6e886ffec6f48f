// Profiles are found for the same model on the same machine, and for nothing else; a measurement's process is read.
#include "tune/profile.h"

#include "base/json.h"
#include "temp_dir.h"
#include "tune/visit.h"

#include <gtest/gtest.h>

#include <fstream>

namespace shimmy::tune {
namespace {

class Profiles : public testing::Test {
protected:
    Profiles() {
        write_file_atomic(model_, std::string(3 << 20, 'a') + "end");
        profile_.model = identify(model_);
        profile_.machine = machine_;
        profile_.versions = versions_;
        profile_.goal = "agent";
        profile_.tuned_at = "2026-11-29T12:00:00Z";
        profile_.given = {"--cpu-moe"};
        profile_.n_ctx = 8192;
        profile_.n_parallel = 2;
        profile_.gain = 1.5;
        profile_.choices = {{"threads", "4", {"--threads", "4"}, 1.25}};
    }
    std::optional<FoundProfile> find(const fs::path & model, const Machine & machine) {
        return find_profile(dir_, model, machine, versions_, {});
    }

    TempDir temp_;
    fs::path dir_ = temp_.path() / "profiles";
    fs::path model_ = temp_.path() / "model.gguf";
    Machine machine_{"a CPU", 8, 16ULL << 30, {"10de:2330"}};
    Versions versions_{"1.0", "0.5.0"};
    Profile profile_;
};

TEST_F(Profiles, AreReadAsTheyWereWritten) {
    const fs::path file = save(profile_, dir_);
    const auto found = find(model_, machine_);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->file, file);
    EXPECT_FALSE(found->is_stale);
    const Profile & read = found->profile;
    EXPECT_EQ(read.goal, "agent");
    EXPECT_EQ(read.tuned_at, "2026-11-29T12:00:00Z");
    EXPECT_EQ(read.given, std::vector<std::string>{"--cpu-moe"});
    EXPECT_EQ(read.n_ctx, 8192U);
    EXPECT_EQ(read.n_parallel, 2U);
    EXPECT_EQ(read.gain, 1.5);
    ASSERT_EQ(read.choices.size(), 1U);
    EXPECT_EQ(read.choices[0].setting, "threads");
    EXPECT_EQ(read.choices[0].value, "4");
    EXPECT_EQ(read.choices[0].options, (std::vector<std::string>{"--threads", "4"}));
    EXPECT_EQ(read.choices[0].worth, 1.25);
}

TEST_F(Profiles, AreOfOneMachine) {
    save(profile_, dir_);
    for (const Machine & other :
         {Machine{"another", 8, 16ULL << 30, {"10de:2330"}}, Machine{"a CPU", 4, 16ULL << 30, {"10de:2330"}},
          Machine{"a CPU", 8, 8ULL << 30, {"10de:2330"}}, Machine{"a CPU", 8, 16ULL << 30, {}}})
        EXPECT_FALSE(find(model_, other));
    // A second machine's profile stands beside the first one's.
    Profile second = profile_;
    second.machine = Machine{"another", 2, 1ULL << 30, {}};
    save(second, dir_);
    EXPECT_TRUE(find(model_, machine_));
    EXPECT_TRUE(find(model_, second.machine));
}

TEST_F(Profiles, AreOfTheDevicesTheyWereMeasuredWith) {
    const std::vector<std::string> two{"--device", "CUDA0,CUDA1"};
    EXPECT_EQ(device_words({"--cpu-moe", "--rpc", "a:1", "--device", "CUDA0,CUDA1", "--threads", "4"}),
              (std::vector<std::string>{"--device", "CUDA0,CUDA1", "--rpc", "a:1"}));
    EXPECT_TRUE(device_words({"--threads", "4", "--device"}).empty());
    save(profile_, dir_);
    Profile of_two = profile_;
    of_two.given = {"--device", "CUDA0,CUDA1", "--cpu-moe"};
    of_two.goal = "batch";
    save(of_two, dir_);
    const auto goal = [&](const std::vector<std::string> & devices) {
        const auto found = find_profile(dir_, model_, machine_, versions_, devices);
        return found ? found->profile.goal : "none";
    };
    EXPECT_EQ(goal({}), "agent");
    EXPECT_EQ(goal(two), "batch");
    of_two.goal = "chat";
    save(of_two, dir_);
    EXPECT_EQ(goal(two), "chat") << "in place of the earlier one";
    EXPECT_EQ(goal({}), "agent") << "which stays";
    EXPECT_NE(goal({"--device", "CUDA1"}), "none") << "another's, which the caller explains";
}

TEST_F(Profiles, AreOfOneModel) {
    save(profile_, dir_);
    const fs::path renamed = temp_.path() / "other-name.gguf";
    fs::rename(model_, renamed);
    EXPECT_TRUE(find(renamed, machine_)) << "a renamed file is the same model";
    const std::string content = read_file(renamed);
    for (const size_t at : {size_t{0}, content.size() - 1}) {
        std::string changed = content;
        changed[at] = 'x';
        write_file_atomic(renamed, changed);
        EXPECT_FALSE(find(renamed, machine_)) << at;
    }
    write_file_atomic(renamed, content + "a");
    EXPECT_FALSE(find(renamed, machine_)) << "another size";
    EXPECT_FALSE(find(temp_.path() / "none.gguf", machine_));
    EXPECT_FALSE(find_profile("", renamed, machine_, versions_, {}));
}

TEST_F(Profiles, ANewOneReplacesTheOldOneUnderAnyName) {
    save(profile_, dir_);
    profile_.model.name = "renamed.gguf";
    profile_.goal = "chat";
    save(profile_, dir_);
    EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
    EXPECT_EQ(find(model_, machine_)->profile.goal, "chat");
}

TEST_F(Profiles, OfOtherVersionsAreStale) {
    save(profile_, dir_);
    const auto found = find_profile(dir_, model_, machine_, {"1.1", "0.5.0"}, {});
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->is_stale);
}

TEST_F(Profiles, WhatIsNoProfileIsPassedOver) {
    const fs::path good = save(profile_, dir_);
    write_file_atomic(dir_ / "a.json", "{");
    write_file_atomic(dir_ / "b.json", "[]");
    Json document = parse_json(read_file(good));
    document["format"] = 2;
    write_file_atomic(dir_ / "c.json", document.dump());
    EXPECT_EQ(find(model_, machine_)->file, good);
}

TEST(Identity, OfSmallFiles) {
    const TempDir temp;
    write_file_atomic(temp.path() / "one", "1");
    write_file_atomic(temp.path() / "two", "2");
    EXPECT_EQ(identify(temp.path() / "one").size_bytes, 1U);
    EXPECT_NE(identify(temp.path() / "one").sha256, identify(temp.path() / "two").sha256);
    EXPECT_THROW((void)identify(temp.path() / "none"), std::exception);
}

// ---- One measurement ----

VisitOptions visit_options() {
    VisitOptions visit;
    visit.program = "shimmy";
    visit.model = "m.gguf";
    visit.goal = {"batch", 400, 200, 8};
    visit.lengths = {100, 20};
    visit.n_ctx = 4096;
    return visit;
}

TEST(Visit, CommandLine) {
    VisitOptions visit = visit_options();
    visit.given = {"--device", "cpu"};
    visit.llama_args = {"--swa-full"};
    const std::vector<std::string> argv = visit_command(visit, {"--threads", "4"});
    EXPECT_EQ(argv,
              (std::vector<std::string>{
                  "shimmy",           "bench",    "--model",       "m.gguf",    "--n-prompt", "0",  "--n-gen",   "0",
                  "--prompt-and-gen", "100,20",   "--repetitions", "2",         "--parallel", "8",  "--ctx",     "4096",
                  "--json",           "--device", "cpu",           "--threads", "4",          "--", "--swa-full"}));
}

TEST(Visit, TheFasterRepetitionCounts) {
    ProcessResult result;
    result.out = R"({"tests": [{"prompt_ms": [300.0, 100.0], "gen_ms": [40.0, 50.0]}]})";
    const Visit visit = read_visit(visit_options(), result);
    EXPECT_EQ(visit.figure.error, "");
    EXPECT_DOUBLE_EQ(visit.figure.cost_ms, 4 * 100.0 + 10 * 40.0);
}

TEST(Visit, AnAnswer) {
    VisitOptions visit = visit_options();
    visit.given = {"--cpu-moe"};
    EXPECT_EQ(answer_command(visit, {"--spec", "ngram-mod"}, "-a prompt", 64),
              (std::vector<std::string>{"shimmy", "generate", "--no-profile", "--model", "m.gguf", "--raw",
                                        "--prompt=-a prompt", "--temperature", "0", "--max-tokens", "64", "--ctx",
                                        "4096", "--json", "--cpu-moe", "--spec", "ngram-mod"}));
    ProcessResult result;
    result.out = R"({"n_prompt_tokens": 100, "n_output_tokens": 21, "prefill_ms": 50.0, "decode_ms": 80.0})";
    EXPECT_DOUBLE_EQ(read_answer(visit, result).cost_ms, 4 * 50.0 + 10 * 80.0);
    result.out = R"({"n_prompt_tokens": 100, "n_output_tokens": 1, "prefill_ms": 50.0, "decode_ms": 0.0})";
    EXPECT_EQ(read_answer(visit, result).cost_ms, CANNOT_RUN);
}

TEST(Visit, WhatWentWrong) {
    ProcessResult result;
    result.exit_code = 1;
    result.out = R"({"error": {"message": "does not fit", "exit_code": 1}})";
    EXPECT_EQ(read_visit(visit_options(), result).figure.error, "does not fit");
    EXPECT_EQ(read_visit(visit_options(), result).figure.cost_ms, CANNOT_RUN);
    result.out = "";
    result.exit_code = 139;
    EXPECT_EQ(read_visit(visit_options(), result).figure.error, "ended with exit code 139");
    result.timed_out = true;
    EXPECT_NE(read_visit(visit_options(), result).figure.error, "");
}

}  // namespace
}  // namespace shimmy::tune
