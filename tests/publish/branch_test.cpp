// `shimmy publish --revision`: branches of a repository.
#include "publish_fixture.h"

#include "base/error.h"

namespace shimmy::e2e {
namespace {

constexpr const char * BRANCH = "try/4-bit";

class BranchTest : public PublishTest {
protected:
    static std::vector<std::string> to_branch(const std::string & branch = BRANCH) { return {"--revision", branch}; }
    Json refs() const { return repository()["refs"]; }
    fs::path snapshot(const std::string & revision) const {
        return official_client(hub_, "", {"download", REPO, (home_ / "cache").string(), revision});
    }
    // By hand, on main.
    std::string commit_to_main(const std::string & name) const {
        write_file_atomic(home_ / name, "by hand");
        return official_client(hub_, WRITE_TOKEN, {"upload", REPO, (home_ / name).string()});
    }
};

TEST_F(BranchTest, ABranchThatIsNotThereIsMade) {
    const std::string main = commit_to_main("notes.txt");
    const ProcessResult dry = shimmy(arguments({"--revision", BRANCH, "--dry-run"}));
    EXPECT_NE(dry.out.find("a commit to try/4-bit; the branch try/4-bit would be made from main"), std::string::npos)
        << dry.out << dry.err;
    EXPECT_FALSE(refs().contains(BRANCH));
    EXPECT_TRUE(shimmy_json(arguments({"--revision", BRANCH, "--dry-run"}))["repositories"][0]["creates_branch"]);
    const ProcessResult result = publish(to_branch());
    expect_published(result);
    EXPECT_NE(result.out.find("/user/tiny/tree/try%2F4-bit: published"), std::string::npos) << result.out;
    EXPECT_EQ(refs()["main"], main);
    const fs::path there = snapshot(BRANCH);
    EXPECT_EQ(sha256_file_hex(there / "tiny-moe-Q4_K_M.gguf"), sha256_file_hex(campaign_.model("Q4_K_M")));
    EXPECT_TRUE(fs::exists(there / "notes.txt"));  // it began as main
    EXPECT_FALSE(fs::exists(snapshot("main") / "tiny-moe-Q4_K_M.gguf"));
    // It was made as the official client makes one.
    official_client(hub_, WRITE_TOKEN, {"branch", REPO, "theirs"});
    const auto made = hub_.requests("POST", "^/api/models/user/tiny/branch/");
    ASSERT_EQ(made.size(), 2U);
    EXPECT_EQ(made[0]["url"], "/api/models/user/tiny/branch/try%2F4-bit");
    EXPECT_EQ(made[0]["body"], made[1]["body"]);
    EXPECT_EQ(made[0]["headers"]["content-type"], made[1]["headers"]["content-type"]);
    // Every large file was asked for on that branch, as the official client asks.
    for (const Json & batch : hub_.requests("POST", "/objects/batch$")) {
        const Json body = Json::parse(batch["body"].get<std::string>());
        EXPECT_EQ(body["ref"]["name"], BRANCH);
    }
}

TEST_F(BranchTest, AgainChangesNothing) {
    expect_published(publish(to_branch()));
    EXPECT_EQ(repository()["n_commits"], 2);  // the repository is made with it
    const size_t n_changing = n_changing_requests();
    const ProcessResult again = publish(to_branch());
    expect_published(again);
    EXPECT_NE(again.out.find("nothing to change"), std::string::npos) << again.out;
    EXPECT_EQ(n_changing_requests(), n_changing);
    const Json record = campaign_.publish_json()["repositories"];
    ASSERT_EQ(record.size(), 1U);
    EXPECT_EQ(record[0]["revision"], BRANCH);
    EXPECT_EQ(record[0]["commit"], refs()[BRANCH]);
    EXPECT_NE(read_file(campaign_.out() / "checklist.md").find("- [x] `user/tiny` at `try/4-bit` is on the Hub"),
              std::string::npos);
}

TEST_F(BranchTest, MainAndABranchOfItShareTheirFiles) {
    expect_published(publish());
    const uint64_t stored = hub_.stored_bytes();
    const ProcessResult result = publish(to_branch("copy"));
    expect_published(result);
    EXPECT_NE(result.out.find("holds all of it already; the branch copy would be made from main"), std::string::npos)
        << result.out;
    EXPECT_EQ(refs()["copy"], refs()["main"]);  // nothing to commit
    EXPECT_EQ(hub_.stored_bytes(), stored);
    EXPECT_EQ(campaign_.publish_json()["repositories"].size(), 2U);
    EXPECT_NE(publish(to_branch("copy")).out.find("nothing to change"), std::string::npos);
}

TEST_F(BranchTest, ABranchThatIsThereGetsACommit) {
    commit_to_main("notes.txt");
    official_client(hub_, WRITE_TOKEN, {"branch", REPO, BRANCH});
    write_file_atomic(home_ / "more.txt", "by hand");
    official_client(hub_, WRITE_TOKEN, {"upload-to", REPO, BRANCH, (home_ / "more.txt").string()});
    expect_published(publish(to_branch()));
    EXPECT_TRUE(hub_.requests("POST", "/branch/").size() == 1U);  // the official client's
    EXPECT_TRUE(fs::exists(snapshot(BRANCH) / "more.txt"));
}

TEST_F(BranchTest, ALostAnswerMakesOneBranchAndOneCommit) {
    commit_to_main("notes.txt");
    hub_.fault({{"path", "/branch/"}, {"lose_reply", true}});
    hub_.fault({{"path", "/commit/try"}, {"lose_reply", true}});
    expect_published(publish(to_branch()));
    EXPECT_EQ(hub_.requests("POST", "/commit/try").size(), 1U);
    EXPECT_EQ(repository()["n_commits"], 3);
}

TEST_F(BranchTest, WhatIsNoBranchIsToldBefore) {
    const std::string main = commit_to_main("notes.txt");
    const size_t n_changing = n_changing_requests();
    for (const std::string name : {"a b", "a..b", "-x", "x.lock", "refs/heads/x", "a//b", "/a", "a/", "a^", "x\\y"})
        expect_failure(arguments({"--revision", name, "--yes"}), 2, {"--revision", name});
    expect_failure(arguments({"--revision", main, "--yes"}), 1, {main, "no branch"});
    expect_failure(arguments({"--revision", "absent", "--create-pr", "--yes"}), 1, {"no branch 'absent'"});
    expect_failure(arguments({"--revision", "refs/pr/7", "--yes"}), 2, {"refs/pr/7"});
    EXPECT_EQ(n_changing_requests(), n_changing);
}

TEST_F(BranchTest, APullRequestCanBeGoneOnWith) {
    commit_to_main("notes.txt");
    write_file_atomic(home_ / "more.txt", "by hand");
    official_client(hub_, WRITE_TOKEN, {"upload-pr", REPO, (home_ / "more.txt").string()});
    expect_published(publish(to_branch("refs/pr/1")));
    EXPECT_EQ(Json::parse(official_client(hub_, WRITE_TOKEN, {"list", REPO, "refs/pr/1"})).size(), N_FILES + 3)
        << "beside two texts and .gitattributes";
}

TEST_F(BranchTest, ABranchIsPulled) {
    expect_published(publish(to_branch()));
    hub_.use("", (home_ / "elsewhere").string());
    expect_failure({"pull", "user/tiny:Q2_K"}, 1, {"user/tiny", "no GGUF model"});
    const Json pulled = shimmy_json({"pull", std::string("user/tiny@") + BRANCH + ":Q2_K"});
    EXPECT_EQ(sha256_file_hex(pulled["files"][0].get<std::string>()), sha256_file_hex(campaign_.model("Q2_K")));
    EXPECT_EQ(pulled["commit"], refs()[BRANCH]);
    const std::string commit = refs()[BRANCH];
    for (const std::string & revision : {std::string(BRANCH), commit})
        EXPECT_EQ(shimmy_json({"pull", "user/tiny@" + revision + ":Q2_K"})["fetched_bytes"], 0);
    setenv("HF_HUB_OFFLINE", "1", 1);
    EXPECT_EQ(shimmy_json({"pull", "user/tiny@" + commit + ":Q2_K"})["fetched_bytes"], 0);
    unsetenv("HF_HUB_OFFLINE");
    expect_failure({"pull", "user/tiny@absent"}, 1, {"user/tiny@absent: not found"});
    expect_failure({"pull", "user/tiny@:Q2_K"}, 2, {"revision"});
}

}  // namespace
}  // namespace shimmy::e2e
