// What is asked of a repository and what is made of the answers, also of odd ones.
#include "hub/upload/changes.h"
#include "hub/upload/verification.h"
#include "scripted_hub.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <sstream>

namespace shimmy::hub {
namespace {

using Names = std::vector<std::string>;

const std::string API = "/api/models/u/m";
const std::string TREE = "GET " + API + "/tree/main?recursive=true&expand=false";
const std::string OID(40, 'a');

TEST(HubRepository, CommitsOfRevisions) {
    ScriptedHub hub;
    const Api api = hub.api();
    const std::string call = "GET " + API + "/revision/refs%2Fpr%2F1";
    const auto commit = [&] { return find_commit(api, "u/m", "refs/pr/1"); };
    EXPECT_EQ(commit(), std::nullopt) << "404";
    hub.on(call, json_answer({{"sha", OID}}));
    EXPECT_EQ(commit(), OID);
    for (const char * code : {"RepoNotFound", "RevisionNotFound"}) {
        hub.on(call, {401, "", {{"x-error-code", code}}});
        EXPECT_EQ(commit(), std::nullopt) << code;
        hub.on(call, {403, "", {{"x-error-code", code}}});
        EXPECT_THROW(commit(), Error) << code;
    }
    for (const Answer & answer : {Answer{401, ""},
                                  {401, "", {{"x-error-code", "GatedRepo"}}},
                                  {500, ""},
                                  {200, "[]"},
                                  {200, "{}"},
                                  {200, R"({"sha": 3})"},
                                  {200, "x"}}) {
        hub.on(call, answer);
        EXPECT_THROW(commit(), Error) << answer.status << answer.body;
    }
}

TEST(HubRepository, IsThereOrNot) {
    ScriptedHub hub;
    const Api api = hub.api();
    EXPECT_FALSE(repository_exists(api, "u/m"));
    hub.on("GET " + API, {401, "", {{"x-error-code", "RepoNotFound"}}});
    EXPECT_FALSE(repository_exists(api, "u/m"));
    hub.on("GET " + API, {200});
    EXPECT_TRUE(repository_exists(api, "u/m"));
    for (const int status : {401, 403, 500}) {
        hub.on("GET " + API, {status, ""});
        EXPECT_THROW(repository_exists(api, "u/m"), Error) << status;
    }
}

TEST(HubRepository, FilesOfAllPages) {
    ScriptedHub hub;
    const Api api = hub.api();
    Answer first = json_answer({{{"type", "file"}, {"path", "a"}, {"size", 5}, {"oid", "o1"}},
                                {{"type", "directory"}, {"path", "d"}},
                                {{"type", "file"}},
                                3,
                                {{"type", "file"},
                                 {"path", "b"},
                                 {"size", 100},
                                 {"oid", "o2"},
                                 {"lfs", {{"oid", "sha"}, {"size", 7}, {"pointerSize", 100}}}}});
    first.headers["link"] = "<" + hub.url() + "/page2>; rel=\"next\"";
    hub.on(TREE, first);
    Answer second = json_answer({{{"type", "file"}, {"path", "c"}, {"lfs", {{"sha256", "old"}}}, {"size", 9}}});
    second.headers["link"] = "<" + hub.url() + "/page1>; rel=\"prev\", <" + hub.url() + "/page3>;rel=next";
    hub.on("GET /page2", second);
    hub.on("GET /page3", json_answer(Json::array({{{"type", "file"}, {"path", "e"}, {"oid", "o3"}}})));
    const std::vector<RemoteFile> files = list_files(api, "u/m", "main");
    ASSERT_EQ(files.size(), 4U);
    EXPECT_EQ(files[0].path, "a");
    EXPECT_EQ(files[0].size_bytes, 5U);
    EXPECT_FALSE(files[0].is_large());
    EXPECT_EQ(files[0].etag(), "o1");
    EXPECT_EQ(files[1].sha256, "sha");
    EXPECT_EQ(files[1].size_bytes, 7U) << "not of the pointer";
    EXPECT_EQ(files[1].git_oid, "o2");
    EXPECT_EQ(files[1].etag(), "sha");
    EXPECT_EQ(files[2].sha256, "old");
    EXPECT_EQ(files[2].size_bytes, 9U);
    EXPECT_EQ(files[3].path, "e");
    EXPECT_EQ(files[3].size_bytes, 0U);
    hub.on(TREE, json_answer({{"error", "x"}}));
    EXPECT_NE(error_of([&] { list_files(api, "u/m", "main"); }).find("sent no list of files"), std::string::npos);
    hub.on(TREE, {403, ""});
    EXPECT_THROW(list_files(api, "u/m", "main"), Error);
}

TEST(HubRepository, BranchesAndPullRequests) {
    ScriptedHub hub;
    const Api api = hub.api();
    const std::string call = "GET " + API + "/refs?include_prs=1";
    hub.on(call, json_answer({{"branches", {{{"name", "main"}, {"ref", "refs/heads/main"}}, {{"name", "x"}}}},
                              {"tags", {{{"name", "v1"}}}},
                              {"pullRequests", {{{"name", "1"}, {"ref", "refs/pr/1"}}}}}));
    const Refs refs = list_refs(api, "u/m");
    EXPECT_EQ(refs.branches, (Names{"main", "x"}));
    EXPECT_EQ(refs.pull_requests, (Names{"refs/pr/1"}));
    hub.on(call, json_answer({{"branches", {{{"name", "main"}}}}}));
    EXPECT_TRUE(list_refs(api, "u/m").pull_requests.empty());
}

TEST(HubRepository, HeadsOfFiles) {
    const auto head = [](const std::map<std::string, std::string> & headers, int status = 200) {
        ScriptedHub hub;
        hub.on("GET /u/m/resolve/main/d/a%20b", {status, "123", headers});  // httplib answers HEAD as GET
        return file_head(hub.api(), "u/m", "main", "d/a b");
    };
    FileHead file = head({{"etag", "\"abc\""}, {"x-repo-commit", OID}});
    EXPECT_EQ(file.etag, "abc");
    EXPECT_EQ(file.size_bytes, 3U);
    EXPECT_EQ(file.commit, OID);
    file = head({{"etag", "W/\"abc\""}, {"x-linked-etag", "\"sha\""}, {"x-linked-size", "7"}});
    EXPECT_EQ(file.etag, "sha");
    EXPECT_EQ(file.size_bytes, 7U);
    EXPECT_EQ(head({{"etag", "W/\"abc\""}}).etag, "abc");
    EXPECT_EQ(head({{"etag", "abc"}}).etag, "abc");
    EXPECT_EQ(head({{"etag", "\""}}).etag, "\"");
    EXPECT_EQ(head({{"etag", "x"}, {"x-linked-size", "many"}}).size_bytes, 0U);
    EXPECT_EQ(head({{"etag", "x"}, {"location", "http://127.0.0.1:9/y"}}, 302).etag, "x") << "to the storage";
    EXPECT_THROW(head({{"x-repo-commit", OID}}), Error) << "no ETag";
    EXPECT_THROW(head({{"etag", "x"}}, 404), Error);
}

TEST(HubRepository, PathsOfFiles) {
    EXPECT_EQ(resolve_path("u/m", "try/it", "d/a b"), "/u/m/resolve/try%2Fit/d/a%20b");
}

// --- accounts, repositories, branches

TEST(HubChanges, WhoseTokenItIs) {
    ScriptedHub hub;
    const Api api = hub.api();
    const std::string call = "GET /api/whoami-v2";
    hub.on(call, json_answer({{"name", "ada"},
                              {"orgs", {{{"name", "lab"}}, {{"name", "other"}}}},
                              {"auth", {{"accessToken", {{"role", "write"}}}}}}));
    Account account = who_am_i(api);
    EXPECT_EQ(account.name, "ada");
    EXPECT_EQ(account.organizations, (Names{"lab", "other"}));
    EXPECT_EQ(account.role, "write");
    hub.on(call, json_answer({{"name", "ada"}, {"auth", {{"accessToken", {{"role", 3}}}}}}));
    account = who_am_i(api);
    EXPECT_TRUE(account.organizations.empty());
    EXPECT_EQ(account.role, "");
    hub.on(call, {401, ""});
    EXPECT_NE(error_of([&] { who_am_i(api); }).find("does not know the token"), std::string::npos);
    hub.on(call, {403, ""});
    EXPECT_NE(error_of([&] { who_am_i(api); }).find("no access"), std::string::npos);
}

TEST(HubChanges, WriteAccess) {
    ScriptedHub hub;
    hub.on("GET " + API + "/auth-check/write", {200});
    EXPECT_NO_THROW(check_write_access(hub.api(), "u/m"));
    hub.on("GET " + API + "/auth-check/write", {403, ""});
    EXPECT_TRUE(error_of([&] { check_write_access(hub.api(), "u/m"); }).starts_with("writing to u/m: no access"));
}

TEST(HubChanges, CreatingIsDoneOnce) {
    ScriptedHub hub;
    const std::string call = "POST /api/repos/create";
    hub.on(call, {200});
    create_repository(hub.api(), "u/m", true);
    EXPECT_EQ(Json::parse(hub.requests()[0].body),
              (Json{{"name", "m"}, {"organization", "u"}, {"type", "model"}, {"visibility", "private"}}));
    create_repository(hub.api(), "u/m", false);
    EXPECT_EQ(Json::parse(hub.requests()[1].body)["visibility"], "public");
    hub.on(call, json_answer({{"error", "You already created this model repo"}}, 409));
    EXPECT_NO_THROW(create_repository(hub.api(), "u/m", false));
    hub.in_turn(call, {json_answer({{"error", "another conflicting operation is in progress"}}, 409), {200}});
    const size_t n_before = hub.requests().size();
    create_repository(hub.api(), "u/m", false);
    EXPECT_EQ(hub.requests().size() - n_before, 2U);
    hub.on(call, {403, ""});
    EXPECT_TRUE(error_of([&] { create_repository(hub.api(), "u/m", false); }).starts_with("creating u/m: no access"));
}

TEST(HubChanges, BranchesAreMadeOrThere) {
    ScriptedHub hub;
    const std::string call = "POST " + API + "/branch/try%2Fit";
    for (const int status : {200, 201, 409}) {
        hub.on(call, {status});
        EXPECT_NO_THROW(create_branch(hub.api(), "u/m", "try/it")) << status;
    }
    EXPECT_EQ(hub.requests()[0].body, "{}");
    hub.on(call, {404, ""});
    EXPECT_TRUE(error_of([&] {
                    create_branch(hub.api(), "u/m", "try/it");
                }).starts_with("u/m: creating the branch try/it: not found"));
}

TEST(HubChanges, CardsAreChecked) {
    ScriptedHub hub;
    const std::string call = "POST /api/validate-yaml";
    const auto check = [&] { return check_card(hub.api(), "the card"); };
    hub.on(call, json_answer({{"errors", Json::array()}, {"warnings", {{{"message", "w"}}, "bare"}}}));
    CardCheck result = check();
    EXPECT_TRUE(result.errors.empty());
    EXPECT_EQ(result.warnings, (Names{"w", "\"bare\""}));
    EXPECT_EQ(Json::parse(hub.requests()[0].body), (Json{{"content", "the card"}, {"repoType", "model"}}));
    hub.on(call, json_answer({{"errors", {{{"message", "bad"}}}}}, 400));
    EXPECT_EQ(check().errors, (Names{"bad"}));
    hub.on(call, {400, "[]"});
    EXPECT_NE(error_of(check).find("checking the model card"), std::string::npos);
    hub.on(call, {200, "[]"});
    EXPECT_TRUE(check().errors.empty());
}

// --- files

class HubFiles : public ::testing::Test {
protected:
    NewFile file(const std::string & path, const std::string & content, bool is_large = false) {
        write_file_atomic(dir_ / path, content);
        return {path, dir_ / path, content.size(), sha256_hex(content), is_large};
    }
    static RemoteFile remote(const std::string & path, const std::string & content, bool is_large = false) {
        return {path, content.size(), git_blob_oid(content), is_large ? sha256_hex(content) : ""};
    }
    Json tree_entry(const std::string & path, const std::string & content, bool is_large = false) {
        Json entry{{"type", "file"}, {"path", path}, {"size", content.size()}, {"oid", git_blob_oid(content)}};
        if (is_large) entry["lfs"] = {{"oid", sha256_hex(content)}, {"size", content.size()}};
        return entry;
    }
    TempDir dir_;
    ScriptedHub hub_;
};

TEST_F(HubFiles, SameContentIsNotSent) {
    const NewFile card = file("README.md", "card");
    EXPECT_TRUE(is_same_content(card, remote("README.md", "card")));
    EXPECT_FALSE(is_same_content(card, remote("README.md", "drac")));
    EXPECT_FALSE(is_same_content(card, remote("README.md", "cards")));
    EXPECT_FALSE(is_same_content(card, remote("readme.md", "card")));
    EXPECT_TRUE(is_same_content(card, remote("README.md", "card", true)));
    EXPECT_FALSE(is_same_content(card, remote("README.md", "drac", true)));
    const std::vector<NewFile> files{card, file("a", "a"), file("b", "b")};
    const auto changed = changed_files(files, {remote("README.md", "card"), remote("a", "x"), remote("c", "b")});
    ASSERT_EQ(changed.size(), 2U);
    EXPECT_EQ(changed[0].path, "a");
    EXPECT_EQ(changed[1].path, "b");
}

TEST_F(HubFiles, TheHubSaysWhichAreLarge) {
    std::vector<NewFile> files;
    Json modes = Json::array();
    for (int i = 0; i < 201; ++i) {
        files.push_back(file(fmt::format("f{}", i), i == 1 ? "" : std::string(600, 'x')));
        modes.push_back({{"path", files.back().path}, {"uploadMode", i == 2 ? "regular" : "lfs"}});
    }
    files[2].is_large = true;
    const std::string call = "POST " + API + "/preupload/try%2Fit";
    hub_.on(call, json_answer({{"files", modes}}));
    choose_storage(hub_.api(), "u/m", "try/it", false, files);
    EXPECT_TRUE(files[0].is_large);
    EXPECT_FALSE(files[1].is_large) << "there is nothing to store of an empty file";
    EXPECT_FALSE(files[2].is_large);
    EXPECT_TRUE(files[200].is_large);
    std::vector<size_t> n_asked;
    for (const auto & request : hub_.requests())
        n_asked.push_back(Json::parse(request.body)["files"].size());
    EXPECT_EQ(n_asked, (std::vector<size_t>{100, 100, 1}));
    const Json first = Json::parse(hub_.requests()[0].body)["files"][0];
    EXPECT_EQ(first["size"], 600);
    std::string sample;
    for (int i = 0; i < 170; ++i)
        sample += "eHh4";  // "xxx"
    EXPECT_EQ(first["sample"], sample + "eHg=") << "512 bytes";
}

TEST_F(HubFiles, WhatTheHubWouldLeaveOutIsAnError) {
    std::vector<NewFile> files{file("a", "a")};
    const std::string call = "POST " + API + "/preupload/main?create_pr=1";
    hub_.on(call, json_answer({{"files", {{{"path", "b"}, {"uploadMode", "lfs"}}}}}));
    const auto choose = [&] { choose_storage(hub_.api(), "u/m", "main", true, files); };
    EXPECT_NE(error_of(choose).find("did not say how it takes a"), std::string::npos);
    hub_.on(call, json_answer({{"files", {{{"path", "a"}, {"uploadMode", "lfs"}, {"shouldIgnore", true}}}}}));
    EXPECT_NE(error_of(choose).find(".gitignore"), std::string::npos);
    EXPECT_FALSE(files[0].is_large);
}

class HubCommits : public HubFiles {
protected:
    HubCommits() {
        request_.repo = "u/m";
        request_.parent = OID;
        request_.summary = "Add";
        request_.files = {file("README.md", "card"), file("m.gguf", "model", true)};
    }
    std::string revision_call() const { return "GET " + API + "/revision/main"; }
    std::string tree_call(const std::string & at) const {
        return "GET " + API + "/tree/" + at + "?recursive=true&expand=false";
    }
    Commit commit() { return commit_files(hub_.api(), request_); }

    CommitRequest request_;
    const std::string call_ = "POST " + API + "/commit/main";
    const Answer made_ = json_answer({{"commitOid", "new"}, {"commitUrl", "http://c/new"}});
};

TEST_F(HubCommits, LinesOfACommit) {
    request_.description = "why";
    hub_.on(call_, made_);
    const Commit made = commit();
    EXPECT_EQ(made.oid, "new");
    EXPECT_EQ(made.url, "http://c/new");
    EXPECT_EQ(made.revision, "main");
    EXPECT_EQ(made.pull_request_url, "");
    const auto request = hub_.requests()[0];
    EXPECT_EQ(request.header("Content-Type"), "application/x-ndjson");
    std::istringstream lines(request.body);
    std::vector<Json> said;
    for (std::string line; std::getline(lines, line);)
        said.push_back(Json::parse(line));
    ASSERT_EQ(said.size(), 3U);
    EXPECT_EQ(said[0], (Json{{"key", "header"},
                             {"value", {{"summary", "Add"}, {"description", "why"}, {"parentCommit", OID}}}}));
    EXPECT_EQ(said[1], (Json{{"key", "file"},
                             {"value", {{"path", "README.md"}, {"encoding", "base64"}, {"content", "Y2FyZA=="}}}}));
    EXPECT_EQ(said[2],
              (Json{{"key", "lfsFile"},
                    {"value", {{"path", "m.gguf"}, {"algo", "sha256"}, {"oid", sha256_hex("model")}, {"size", 5}}}}));
    request_.parent = "";
    commit();
    EXPECT_FALSE(Json::parse(hub_.requests()[1].body.substr(0, hub_.requests()[1].body.find('\n')))["value"].contains(
        "parentCommit"));
}

TEST_F(HubCommits, AFileThatChangedMeanwhileIsNotCommitted) {
    write_file_atomic(dir_ / "README.md", "drac");
    EXPECT_NE(error_of([&] { commit(); }).find("was changed meanwhile"), std::string::npos);
    EXPECT_TRUE(hub_.requests().empty());
}

TEST_F(HubCommits, APullRequestHasARevisionOfItsOwn) {
    request_.create_pr = true;
    hub_.on("GET " + API + "/refs?include_prs=1", json_answer({{"pullRequests", {{{"ref", "refs/pr/1"}}}}}));
    hub_.on(call_ + "?create_pr=1", json_answer({{"commitOid", "new"},
                                                 {"commitUrl", "http://c/new"},
                                                 {"pullRequestUrl", "http://h/u/m/discussions/12"}}));
    const Commit made = commit();
    EXPECT_EQ(made.pull_request_url, "http://h/u/m/discussions/12");
    EXPECT_EQ(made.revision, "refs/pr/12");
}

// An answer was lost, and the commit is there: it is found, not made again.
TEST_F(HubCommits, AnEarlierTryThatGotThroughIsFound) {
    hub_.on(call_, {412, ""});
    hub_.on(revision_call(), json_answer({{"sha", "moved"}}));
    hub_.on(tree_call("moved"), json_answer({tree_entry("README.md", "card"), tree_entry("m.gguf", "model", true)}));
    const Commit made = commit();
    EXPECT_EQ(made.oid, "moved");
    EXPECT_EQ(made.url, hub_.url() + "/u/m/commit/moved");
    EXPECT_EQ(made.revision, "main");
    EXPECT_EQ(hub_.n_calls(call_), 1U);
}

TEST_F(HubCommits, SomeoneElsesCommitIsNone) {
    hub_.on(call_, {412, ""});
    hub_.on(revision_call(), json_answer({{"sha", "moved"}}));
    hub_.on(tree_call("moved"), json_answer({tree_entry("README.md", "theirs"), tree_entry("m.gguf", "model", true)}));
    EXPECT_EQ(error_of([&] { commit(); }), "u/m: someone else has changed main meanwhile: run the command again");
    // Where it was before nothing was made, whatever is there.
    hub_.on(revision_call(), json_answer({{"sha", OID}}));
    hub_.on(tree_call(OID), json_answer({tree_entry("README.md", "card"), tree_entry("m.gguf", "model", true)}));
    EXPECT_NE(error_of([&] { commit(); }), "");
    hub_.on(call_, {400, R"({"error": "no"})"});
    EXPECT_NE(error_of([&] { commit(); }).find("committing to u/m"), std::string::npos);
}

TEST_F(HubCommits, ATryThatWasNotMadeIsMadeAgain) {
    hub_.in_turn(call_, {{503, ""}, made_});
    hub_.on(revision_call(), json_answer({{"sha", OID}}));
    EXPECT_EQ(commit().oid, "new");
    EXPECT_EQ(hub_.n_calls(call_), 2U);
}

TEST_F(HubCommits, OpenPullRequestsWithTheSameFiles) {
    for (const auto & [number, content] : {std::pair{"1", "other"}, {"2", "card"}}) {
        const std::string revision = std::string("refs%2Fpr%2F") + number;
        hub_.on("GET " + API + "/revision/" + revision, json_answer({{"sha", std::string("head") + number}}));
        hub_.on(tree_call(revision),
                json_answer({tree_entry("README.md", content), tree_entry("m.gguf", "model", true)}));
    }
    const auto found = find_pull_request(hub_.api(), "u/m", request_.files, {"refs/pr/0", "refs/pr/1", "refs/pr/2"});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->oid, "head2");
    EXPECT_EQ(found->revision, "refs/pr/2");
    EXPECT_EQ(found->url, hub_.url() + "/u/m/commit/head2");
    EXPECT_EQ(found->pull_request_url, hub_.url() + "/u/m/discussions/2");
    EXPECT_FALSE(find_pull_request(hub_.api(), "u/m", request_.files, {"refs/pr/1"}));
}

// --- verification

class HubVerification : public HubFiles {
protected:
    HubVerification() {
        large_.resize(10000);
        for (size_t i = 0; i < large_.size(); ++i)
            large_[i] = static_cast<char>(i * 7 % 251);
        files_ = {file("README.md", "card"), file("m.gguf", large_, true)};
        hub_.on("GET " + API + "/tree/c?recursive=true&expand=false",
                json_answer({tree_entry("README.md", "card"), tree_entry("m.gguf", large_, true)}));
        hub_.on("GET /u/m/resolve/c/README.md", {200, "card", {{"etag", git_blob_oid("card")}}});
        set_large(large_.substr(5000, 4096), 206);
    }
    void set_large(const std::string & body, int status) {
        hub_.on("GET /u/m/resolve/c/m.gguf", {status,
                                              body,
                                              {{"x-linked-etag", sha256_hex(large_)},
                                               {"x-linked-size", "10000"},
                                               {"content-range", "bytes 5000-9095/10000"}}});
    }
    std::vector<std::string> failed() {
        std::vector<std::string> names;
        for (const Check & check : verify_files(hub_.api(), "u/m", "c", files_, "README.md")) {
            EXPECT_EQ(check.passed, check.reason.empty());
            if (!check.passed) names.push_back(check.what + " | " + check.reason);
        }
        return names;
    }
    std::string large_;
    std::vector<NewFile> files_;
};

TEST_F(HubVerification, EverythingIsLookedAt) {
    std::vector<std::string> names;
    for (const Check & check : verify_files(hub_.api(), "u/m", "c", files_, "README.md"))
        names.push_back(check.what);
    EXPECT_EQ(names, (Names{"README.md: size and hash in the tree", "README.md: size and hash by HEAD",
                            "README.md: fetched back and compared", "m.gguf: size and hash in the tree",
                            "m.gguf: size and hash by HEAD", "m.gguf: a part of it downloaded and compared"}));
    EXPECT_EQ(failed(), Names{});
    EXPECT_EQ(hub_.requests().back().header("Range"), "bytes=5000-9095");
}

TEST_F(HubVerification, WhatDiffersFails) {
    const auto expect_failed = [&](const Names & expected) { EXPECT_EQ(failed(), expected); };
    hub_.on("GET /u/m/resolve/c/README.md", {200, "drac", {{"etag", git_blob_oid("card")}}});
    expect_failed({"README.md: fetched back and compared | another text came back"});
    hub_.on("GET /u/m/resolve/c/README.md", {200, "card", {{"etag", "other"}}});
    expect_failed({"README.md: size and hash by HEAD | HEAD says the hash other"});
    hub_.on("GET /u/m/resolve/c/README.md", {200, "card", {{"etag", git_blob_oid("card")}, {"x-linked-size", "5"}}});
    expect_failed({"README.md: size and hash by HEAD | HEAD says 5 bytes"});
    hub_.on("GET /u/m/resolve/c/README.md", {200, "card", {{"etag", git_blob_oid("card")}}});
    std::string other = large_.substr(5000, 4096);
    other.back() ^= 1;
    set_large(other, 206);
    expect_failed({"m.gguf: a part of it downloaded and compared | other bytes came back"});
    set_large(large_.substr(5000, 4096), 200);
    expect_failed({"m.gguf: a part of it downloaded and compared | HTTP 200 in place of a part"});
    set_large(large_.substr(5000, 4096), 206);
    files_[1].is_large = false;  // by its git hash then
    EXPECT_EQ(failed(), Names{}) << "the hash of a large file is its own";
    files_[1].is_large = true;
    hub_.on("GET " + API + "/tree/c?recursive=true&expand=false",
            json_answer(Json::array({tree_entry("README.md", "drac")})));
    expect_failed({"README.md: size and hash in the tree | the tree has another size or hash",
                   "m.gguf: size and hash in the tree | is not in the tree"});
}

}  // namespace
}  // namespace shimmy::hub
