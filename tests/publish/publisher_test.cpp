// What would change on the Hub, from what it answers.
#include "publish/publisher.h"
#include "hub/scripted_hub.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::publish {
namespace {

using hub::json_answer;
using Names = std::vector<std::string>;

const std::string API = "GET /api/models/u/m";

class Compared : public ::testing::Test {
protected:
    Compared() {
        package_.repo = "u/m";
        for (const auto & [path, content] : {std::pair{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}}) {
            write_file_atomic(dir_ / path, content);
            package_.files.push_back({path, dir_ / path, std::string(content).size(), sha256_hex(content), false});
        }
        hub_.on(API, {200});
        hub_.on(API + "/revision/main", json_answer({{"sha", "head"}}));
        hub_.on(API + "/refs?include_prs=1", json_answer({{"branches", {{{"name", "main"}}, {{"name", "b"}}}},
                                                          {"pullRequests", {{{"ref", "refs/pr/4"}}}}}));
        tree("head", {{"README.md", "card"}, {"m.gguf", "older model"}, {".gitattributes", "x"}, {"notes.txt", "y"}});
    }

    void tree(const std::string & at, const std::vector<std::pair<std::string, std::string>> & files) {
        Json entries = Json::array();
        for (const auto & [path, content] : files)
            entries.push_back(
                {{"type", "file"}, {"path", path}, {"size", content.size()}, {"oid", git_blob_oid(content)}});
        hub_.on(API + "/tree/" + at + "?recursive=true&expand=false", json_answer(entries));
    }
    Difference difference() { return compare(hub_.api(), package_, options_); }
    std::string error() {
        return hub::error_of([&] { difference(); });
    }
    static Names paths(const std::vector<hub::NewFile> & files) {
        Names paths;
        for (const hub::NewFile & file : files)
            paths.push_back(file.path);
        return paths;
    }

    TempDir dir_;
    hub::ScriptedHub hub_;
    Package package_;
    PublishOptions options_;
};

TEST_F(Compared, FilesAreAddedChangedOrThere) {
    const Difference now = difference();
    EXPECT_TRUE(now.exists);
    EXPECT_FALSE(now.creates_branch);
    EXPECT_EQ(now.commit, "head");
    EXPECT_EQ(paths(now.added), Names{"a.svg"});
    EXPECT_EQ(paths(now.changed), Names{"m.gguf"});
    EXPECT_EQ(paths(now.unchanged), Names{"README.md"});
    EXPECT_EQ(now.others, Names{"notes.txt"}) << "attributes are the Hub's own";
    EXPECT_FALSE(now.open_pull_request);
    EXPECT_EQ(now.bytes(), 10U);
}

TEST_F(Compared, WithoutARepositoryEverythingIsNew) {
    hub_.on(API, {404, ""});
    hub_.on(API + "/revision/main", {404, ""});
    const Difference now = difference();
    EXPECT_FALSE(now.exists);
    EXPECT_EQ(now.added.size(), 3U);
    EXPECT_EQ(now.commit, "");
    options_.create_pr = true;
    EXPECT_EQ(error(),
              "u/m: is not there, or the token may not read it: a pull request needs a repository (leave out "
              "--create-pr to create it)");
    options_ = {};
    options_.revision = "b";
    EXPECT_TRUE(difference().creates_branch);
}

TEST_F(Compared, ANewBranchBeginsAsMain) {
    options_.revision = "new";
    const Difference now = difference();
    EXPECT_TRUE(now.creates_branch);
    EXPECT_EQ(now.commit, "head");
    EXPECT_EQ(paths(now.changed), Names{"m.gguf"});
    options_.create_pr = true;
    EXPECT_EQ(error(), "u/m: has no branch 'new': a pull request needs a branch (leave out --create-pr to create it)");
    options_ = {};
    options_.revision = "no name";
    EXPECT_THROW(difference(), UsageError);
    options_.revision = "new";
    hub_.on(API + "/revision/main", {404, ""});
    EXPECT_EQ(error(), "u/m: has no branch main");
}

TEST_F(Compared, ABranchIsComparedWithItself) {
    options_.revision = "b";
    hub_.on(API + "/revision/b", json_answer({{"sha", "other"}}));
    tree("other", {{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}});
    const Difference now = difference();
    EXPECT_TRUE(now.is_empty());
    EXPECT_EQ(now.commit, "other");
    options_.revision = "v1";  // a tag
    hub_.on(API + "/revision/v1", json_answer({{"sha", "other"}}));
    EXPECT_EQ(error(),
              "u/m: 'v1' is no branch but a tag or a commit, which stay as they are: give --revision a branch");
    options_.revision = "refs/pr/4";
    hub_.on(API + "/revision/refs%2Fpr%2F4", json_answer({{"sha", "other"}}));
    EXPECT_TRUE(difference().is_empty());
}

TEST_F(Compared, APullRequestThatHoldsItAllIsEnough) {
    options_.create_pr = true;
    hub_.on(API + "/revision/refs%2Fpr%2F4", json_answer({{"sha", "pr"}}));
    tree("refs%2Fpr%2F4", {{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}});
    const Difference now = difference();
    ASSERT_TRUE(now.open_pull_request);
    EXPECT_EQ(now.open_pull_request->oid, "pr");
    EXPECT_TRUE(now.is_empty());
    tree("refs%2Fpr%2F4", {{"README.md", "card"}, {"m.gguf", "model"}});
    EXPECT_FALSE(difference().open_pull_request);
    tree("head", {{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}});
    tree("refs%2Fpr%2F4", {{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}});
    EXPECT_FALSE(difference().open_pull_request) << "main has it, too";
}

TEST_F(Compared, ACardThatIsRefusedChangesNothing) {
    hub_.on("POST /api/validate-yaml",
            json_answer({{"errors", {{{"message", "bad license"}}, {{"message", "bad tag"}}}}}, 400));
    Reporter reporter(true);
    const Difference now = difference();
    const size_t n_before = hub_.requests().size();
    EXPECT_EQ(hub::error_of([&] { publish_package(hub_.api(), package_, now, options_, dir_ / "state", reporter); }),
              "the Hub refuses the card of u/m: bad license; bad tag: change the campaign");
    EXPECT_EQ(hub_.requests().size() - n_before, 1U);
    package_.files.erase(package_.files.begin());
    EXPECT_EQ(hub::error_of([&] { publish_package(hub_.api(), package_, now, options_, dir_ / "state", reporter); }),
              "u/m: there is no card to publish");
}

// Small files only: checked, committed on what was compared, and looked at.
TEST_F(Compared, ACommitIsMadeOnWhatWasCompared) {
    hub_.on("POST /api/validate-yaml", json_answer({{"errors", Json::array()}, {"warnings", {{{"message", "w"}}}}}));
    hub_.on(API + "/auth-check/write", {200});
    hub_.on("POST /api/models/u/m/preupload/main", json_answer({{"files",
                                                                 {{{"path", "a.svg"}, {"uploadMode", "regular"}},
                                                                  {{"path", "m.gguf"}, {"uploadMode", "regular"}}}}}));
    hub_.on("POST /api/models/u/m/commit/main", json_answer({{"commitOid", "made"}, {"commitUrl", "http://c"}}));
    tree("made", {{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}});
    for (const auto & [path, content] : {std::pair{"README.md", "card"}, {"m.gguf", "model"}, {"a.svg", "chart"}})
        hub_.on(std::string("GET /u/m/resolve/made/") + path, {200, content, {{"etag", git_blob_oid(content)}}});
    Reporter reporter(true);
    const Outcome outcome = publish_package(hub_.api(), package_, difference(), options_, dir_ / "state", reporter);
    EXPECT_TRUE(outcome.is_new);
    EXPECT_EQ(outcome.commit.oid, "made");
    EXPECT_EQ(outcome.warnings, Names{"w"});
    EXPECT_EQ(outcome.sent_bytes, 0U);
    EXPECT_FALSE(outcome.verified()) << "the storage sent 200 in place of a part";
    EXPECT_EQ(
        std::count_if(outcome.checks.begin(), outcome.checks.end(), [](const hub::Check & c) { return c.passed; }), 7);
    EXPECT_EQ(outcome.checks.size(), 8U);
    for (const auto & request : hub_.requests()) {
        if (request.path != "/api/models/u/m/commit/main") continue;
        const Json header = Json::parse(request.body.substr(0, request.body.find('\n')))["value"];
        EXPECT_EQ(header["parentCommit"], "head");
        EXPECT_TRUE(header["summary"].get<std::string>().starts_with("Update 2 files with shimmy ")) << header;
    }
    options_.message = "mine";
    publish_package(hub_.api(), package_, difference(), options_, dir_ / "state", reporter);
    std::string last;
    for (const auto & request : hub_.requests()) {
        if (request.path == "/api/models/u/m/commit/main") last = request.body;
    }
    EXPECT_NE(last.find("\"summary\":\"mine\""), std::string::npos) << last;
}

}  // namespace
}  // namespace shimmy::publish
