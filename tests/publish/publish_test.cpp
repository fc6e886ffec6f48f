// `shimmy publish` against the Hub test server, read back by the Hub's official client.
#include "publish_fixture.h"

#include "base/error.h"

#include <regex>

namespace shimmy::e2e {
namespace {

TEST_F(PublishTest, TheOfficialClientReadsItBack) {
    const ProcessResult result = publish();
    expect_published(result);
    const fs::path snapshot = official_client(hub_, "", {"download", REPO, (home_ / "cache").string()});
    for (const std::string type : {"Q4_K_M", "Q2_K"})
        EXPECT_EQ(sha256_file_hex(snapshot / campaign_.model(type).filename()), sha256_file_hex(campaign_.model(type)));
    const std::string card = read_file(snapshot / "README.md");
    EXPECT_EQ(card, read_file(campaign_.out() / "publish/tiny/README.md"));
    EXPECT_NE(card.find("shimmy chat hf:user/tiny:Q4_K_M"), std::string::npos);
    EXPECT_TRUE(fs::exists(snapshot / "vram.svg"));
    // In one piece and in parts, and every object confirmed.
    EXPECT_GT(hub_.requests("PUT", "^/part/").size(), 5U);
    EXPECT_EQ(hub_.requests("POST", "/lfs/verify$").size(), 2U);
    EXPECT_EQ(repository()["n_commits"], 2);
}

TEST_F(PublishTest, WhatWasSeenOnTheHubIsWrittenDown) {
    expect_published(publish());
    const Json record = campaign_.publish_json()["repositories"][0];
    EXPECT_EQ(record["repo"], REPO);
    EXPECT_EQ(record["commit"], repository()["refs"]["main"]);
    EXPECT_EQ(record["files"].size(), N_FILES);
    EXPECT_EQ(record["checks"].size(), N_CHECKS);
    for (const Json & check : record["checks"])
        EXPECT_TRUE(check["passed"].get<bool>()) << check.dump();
    const std::string checklist = read_file(campaign_.out() / "checklist.md");
    EXPECT_NE(checklist.find("- [x] `user/tiny` is on the Hub"), std::string::npos) << checklist;
    EXPECT_NE(checklist.find("- [x] `user/tiny`: README.md: fetched back and compared"), std::string::npos);
    // Figures of another file are not published ones.
    shimmy({"lab", "report", campaign_.file().string()});
    EXPECT_EQ(read_file(campaign_.out() / "checklist.md"), checklist);
}

TEST_F(PublishTest, RunningItAgainChangesNothing) {
    expect_published(publish());
    const std::string record = read_file(campaign_.out() / "publish.json");
    const size_t n_changing = n_changing_requests();
    const ProcessResult again = publish();
    expect_published(again);
    EXPECT_NE(again.out.find("nothing to change"), std::string::npos) << again.out;
    EXPECT_EQ(n_changing_requests(), n_changing);
    EXPECT_EQ(read_file(campaign_.out() / "publish.json"), record);
    // The folder of results in place of the campaign's file is the same.
    const ProcessResult folder = shimmy({"publish", campaign_.out().string(), "--repo", REPO, "--yes"});
    EXPECT_NE(folder.out.find("nothing to change"), std::string::npos) << folder.out << folder.err;
}

TEST_F(PublishTest, AFolderThatWasMoved) {
    const fs::path moved = campaign_.dir() / "moved";
    fs::rename(campaign_.out(), moved);
    expect_published(shimmy({"publish", moved.string(), "--repo", REPO, "--yes"}));
    EXPECT_TRUE(fs::exists(moved / "publish.json"));
}

TEST_F(PublishTest, OnlyWhatHasChangedIsSent) {
    expect_published(publish());
    const uint64_t stored = hub_.stored_bytes();
    write_file_atomic(campaign_.out() / "publish/tiny/README.md", "stale");  // it is made anew
    official_client(hub_, WRITE_TOKEN, {"upload", REPO, (campaign_.out() / "publish/tiny/README.md").string()});
    expect_published(publish());
    EXPECT_EQ(hub_.stored_bytes(), stored);
    EXPECT_EQ(repository()["n_commits"], 4);
}

TEST_F(PublishTest, DryRunSendsNothing) {
    const ProcessResult result = shimmy(arguments({"--dry-run"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::string sha256 = sha256_file_hex(campaign_.model("Q2_K"));
    for (const std::string & piece : {std::string("would be created, public"), std::string("tiny-moe-Q2_K.gguf"),
                                      sha256.substr(0, 12), std::string("README.md"), std::string("as user"),
                                      std::string("software device"), std::string("nothing was sent.")})
        EXPECT_NE(result.out.find(piece), std::string::npos) << piece << "\n" << result.out;
    const Json document = shimmy_json(arguments({"--dry-run", "--private"}));
    EXPECT_EQ(document["repositories"][0]["exists"], false);
    EXPECT_EQ(document["repositories"][0]["added"].size(), N_FILES);
    EXPECT_EQ(n_changing_requests(), 0U);
    hub_.use("", home_.path());
    EXPECT_EQ(shimmy_json(arguments({"--dry-run"}))["account"], nullptr);
    EXPECT_EQ(n_changing_requests(), 0U);
    EXPECT_FALSE(fs::exists(campaign_.out() / "publish.json"));
}

TEST_F(PublishTest, NothingIsPublishedUnasked) {
    const ProcessResult result = shimmy(arguments());
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find("--yes"), std::string::npos) << result.err;
    EXPECT_EQ(n_changing_requests(), 0U);
}

TEST_F(PublishTest, ARepositoryPerQuantization) {
    const ProcessResult result = shimmy({"publish", campaign_.file().string(), "--repo", "user/tiny-GGUF", "--layout",
                                         "per-quant", "--private", "--yes"});
    expect_published(result);
    const Json repositories = hub_.state()["repositories"];
    EXPECT_TRUE(repositories["user/tiny-Q4_K_M-GGUF"]["private"].get<bool>());
    EXPECT_TRUE(repositories.contains("user/tiny-Q2_K-GGUF"));
    EXPECT_EQ(campaign_.publish_json()["repositories"].size(), 2U);
    const ProcessResult owner =
        shimmy({"publish", campaign_.file().string(), "--repo", "user", "--quant", "Q2_K", "--yes"});
    expect_published(owner);
    EXPECT_TRUE(hub_.state()["repositories"].contains("user/tiny-moe-GGUF"));
    EXPECT_EQ(hub_.requests("PUT", "").size(), hub_.requests("PUT", "^/part/|^/basic/").size());
}

TEST_F(PublishTest, APullRequestLeavesMainAsItIs) {
    expect_failure(arguments({"--create-pr", "--yes"}), 1, {REPO, "--create-pr"});
    write_file_atomic(home_ / "notes.txt", "by hand");
    const std::string main = official_client(hub_, WRITE_TOKEN, {"upload", REPO, (home_ / "notes.txt").string()});
    const ProcessResult result = publish({"--create-pr"});
    expect_published(result);
    EXPECT_NE(result.out.find("/discussions/1"), std::string::npos) << result.out;
    EXPECT_EQ(repository()["refs"]["main"], main);
    EXPECT_EQ(Json::parse(official_client(hub_, WRITE_TOKEN, {"list", REPO, "refs/pr/1"})).size(), N_FILES + 2)
        << "beside the notes and .gitattributes";
    const ProcessResult again = publish({"--create-pr"});
    EXPECT_NE(again.out.find("nothing to change"), std::string::npos) << again.out;
    EXPECT_FALSE(repository()["refs"].contains("refs/pr/2"));
}

TEST_F(PublishTest, TheHubDecidesWhatIsLarge) {
    hub_.set({{"upload_modes", {{"vram.svg", "lfs"}}}, {"page_size", 2}});
    expect_published(publish());
    hub_.set({{"ignored", {"README.md"}}});
    const ProcessResult elsewhere = shimmy({"publish", campaign_.file().string(), "--repo", "user/other", "--yes"});
    EXPECT_EQ(elsewhere.exit_code, 1);
    EXPECT_NE(elsewhere.err.find(".gitignore"), std::string::npos) << elsewhere.err;
}

TEST_F(PublishTest, WhoMayNotWriteIsToldBefore) {
    const auto expect_refused = [&](const std::string & token, const std::string & piece) {
        hub_.use(token, home_.path());
        expect_failure(arguments({"--yes"}), 1, {piece});
    };
    expect_refused("", "HF_TOKEN");
    expect_refused("hf_unknown", "does not know the token");
    expect_refused(READ_TOKEN, "can only read");
    expect_refused(OTHER_TOKEN, "who is not in 'user'");
    EXPECT_EQ(n_changing_requests(), 0U);
    setenv("HF_HUB_OFFLINE", "1", 1);
    expect_failure(arguments({"--yes"}), 1, {"HF_HUB_OFFLINE"});
    unsetenv("HF_HUB_OFFLINE");
}

TEST_F(PublishTest, ACardThatTheHubRefusesCreatesNothing) {
    hub_.set({{"yaml_errors", {"\"license\" must be one of"}}});
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("refuses the card of user/tiny: \"license\" must be one of"), std::string::npos)
        << result.err;
    EXPECT_TRUE(hub_.state()["repositories"].empty());
}

TEST_F(PublishTest, NamesThatTheHubDoesNotTake) {
    for (const std::string repo : {"user/a--b", "user/x.git", "user/..", "a/b/c", "/x"})
        expect_failure({"publish", campaign_.file().string(), "--repo", repo, "--yes"}, 2, {"--repo"});
    expect_failure({"publish", campaign_.file().string(), "--yes"}, 2, {"--repo", "repo_owner"});
    EXPECT_EQ(n_changing_requests(), 0U);
}

// --- fitness

class Unfit : public PublishTest {
protected:
    // Each reason on a line of its own, and nothing was sent.
    void expect_unfit(const std::string & piece) {
        const ProcessResult result = publish();
        EXPECT_EQ(result.exit_code, 1) << result.out;
        EXPECT_NE(result.err.find("not fit to be published"), std::string::npos) << result.err;
        EXPECT_NE(result.err.find(piece), std::string::npos) << piece << " not in " << result.err;
        EXPECT_EQ(n_changing_requests(), 0U);
    }
};

TEST_F(Unfit, AModelFileThatWasNotMeasured) {
    const fs::path model = campaign_.model("Q4_K_M");
    std::string bytes = read_file(model);
    fs::remove(model);  // a link to one that other tests use, and writing keeps a link
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_file_atomic(model, bytes);
    expect_unfit("is not the file that was measured");
    fs::remove(model);
    expect_unfit("is not there: shimmy lab run");
}

TEST_F(Unfit, ARunThatIsMissingOrFailed) {
    const Json run = Json::parse(read_file(campaign_.result("Q2_K")))["run"];
    write_file_atomic(campaign_.result("Q2_K"),
                      Json{{"run", run}, {"error", {{"message", "out of memory"}, {"exit_code", 1}}}}.dump());
    expect_unfit("out of memory");
    fs::remove(campaign_.result("Q2_K"));
    expect_unfit("not run yet");
}

TEST_F(Unfit, AFigureThatIsMissing) {
    fs::remove(campaign_.out() / "quality/tiny-moe.json");
    expect_unfit("no quality figures of Q4_K_M: shimmy quality");
}

TEST_F(Unfit, ALicenseThatDoesNotAllowIt) {
    const std::pair<const char *, const char *> cases[]{
        {"", "no license"},
        {"license = \"cc-by-nc-nd-4.0\"\n", "no derivatives"},
        {"license = \"unknown\"\n", "allows nothing"},
        {"license = \"MIT\"\n", "does not know the license 'MIT'"},
        {"license = \"other\"\n", "license_name"},
        {"license = \"other\"\nlicense_name = \"x\"\nlicense_link = \"LICENSE-x\"\n", "no such file"},
    };
    for (const auto & [keys, piece] : cases) {
        const CampaignFolder folder(keys);
        const ProcessResult result = shimmy({"publish", folder.file().string(), "--repo", REPO, "--yes"});
        EXPECT_EQ(result.exit_code, 1) << keys;
        EXPECT_NE(result.err.find(piece), std::string::npos) << result.err;
    }
    EXPECT_EQ(n_changing_requests(), 0U);
}

TEST_F(PublishTest, AnotherLicenseComesWithItsText) {
    const CampaignFolder folder("license = \"other\"\nlicense_name = \"their-own\"\nlicense_link = \"their.txt\"\n");
    write_file_atomic(folder.dir() / "their.txt", "You may.");
    const ProcessResult result = shimmy({"publish", folder.file().string(), "--repo", REPO, "--yes"});
    expect_published(result);
    EXPECT_NE(result.out.find("cannot tell whether the license"), std::string::npos) << result.out;
    const fs::path snapshot = official_client(hub_, "", {"download", REPO, (home_ / "cache").string()});
    EXPECT_EQ(read_file(snapshot / "LICENSE"), "You may.");
    EXPECT_NE(read_file(snapshot / "README.md")
                  .find("license: other\nlicense_name: \"their-own\"\nlicense_link: \"LICENSE\"\n"),
              std::string::npos);
}

// --- the token

TEST_F(PublishTest, TheTokenIsSeenByTheHubAlone) {
    // Nor can it be given where every user of the machine could read it.
    expect_failure(arguments({"--token", WRITE_TOKEN, "--yes"}), 2, {"--token"});
    const ProcessResult result = publish({"-vv"});
    expect_published(result);
    for (const Json & entry : hub_.log()) {
        const bool has_token = entry["headers"].contains("authorization");
        EXPECT_EQ(has_token, entry["host"] == "hub") << entry["url"];
    }
    for (const std::string & text : {result.out, result.err}) {
        EXPECT_EQ(text.find(WRITE_TOKEN), std::string::npos);
        EXPECT_EQ(text.find("X-Signature"), std::string::npos);
    }
    for (const auto & entry : fs::recursive_directory_iterator(campaign_.dir())) {
        if (!entry.is_regular_file() || entry.path().extension() == ".gguf") continue;
        const std::string content = read_file(entry.path());
        EXPECT_EQ(content.find(WRITE_TOKEN), std::string::npos) << entry.path();
        EXPECT_EQ(content.find("X-Signature"), std::string::npos) << entry.path();
    }
}

TEST_F(PublishTest, AnErrorDoesNotShowTheTokenThatAServerEchoes) {
    hub_.fault({{"path", "/api/repos/create"},
                {"status", 400},
                {"json", {{"error", std::string("bad token ") + WRITE_TOKEN}}}});
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("bad token ***"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find(WRITE_TOKEN), std::string::npos);
}

TEST_F(PublishTest, ARedirectToAnotherHostOrPortDropsTheToken) {
    const std::string other_host = hub_.storage();
    const std::string other_port = std::regex_replace(other_host, std::regex("localhost"), "127.0.0.1");
    for (const std::string & target : {other_host, other_port}) {
        hub_.fault({{"host", "hub"},
                    {"path", "/api/whoami"},
                    {"status", 302},
                    {"headers", {{"location", target + "/elsewhere"}}}});
        EXPECT_EQ(publish().exit_code, 1);
    }
    const auto redirected = hub_.requests("GET", "/elsewhere");
    ASSERT_EQ(redirected.size(), 2U);
    for (const Json & request : redirected)
        EXPECT_FALSE(request["headers"].contains("authorization"));
}

TEST_F(PublishTest, ACertificateThatNobodyVouchesForIsRefused) {
    const std::string key = (home_ / "key.pem").string();
    const std::string certificate = (home_ / "certificate.pem").string();
    ASSERT_TRUE(run_process({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                             certificate, "-days", "1", "-subj", "/CN=127.0.0.1"})
                    .ok());
    ChildProcess server({"node", std::string(SHIMMY_SOURCE_DIR) + "/tests/hub/tls_server.mjs", key, certificate});
    const auto line = server.read_line(std::chrono::seconds(30));
    ASSERT_TRUE(line);
    setenv("HF_ENDPOINT", line->c_str(), 1);
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("certificate"), std::string::npos) << result.err;
    EXPECT_FALSE(server.read_line(std::chrono::milliseconds(200))) << "a request came through";
}

}  // namespace
}  // namespace shimmy::e2e
