// The Hub test server is what it stands for as far as the Hub's official client can tell, and refuses what the Hub
// refuses.
#include "base/error.h"
#include "base/files.h"
#include "e2e/program.h"
#include "hub/test_hub.h"

#include "httplib.h"

#include <fstream>
#include <random>

namespace shimmy::e2e {
namespace {

fs::path random_file(const TempDir & dir, const std::string & name, size_t n_bytes) {
    std::mt19937 random(static_cast<unsigned>(n_bytes));
    std::string bytes(n_bytes, '\0');
    for (char & byte : bytes)
        byte = static_cast<char>(random());
    write_file_atomic(dir / name, bytes);
    return dir / name;
}

TEST(HubServer, TheOfficialClientUploadsAndDownloads) {
    const TestHub hub;
    const TempDir dir;
    const std::vector<fs::path> files{random_file(dir, "README.md", 500), random_file(dir, "small.gguf", 100000),
                                      random_file(dir, "large.gguf", (9 << 20) + 17)};
    std::vector<std::string> upload{"upload", "user/official"};
    for (const fs::path & file : files)
        upload.push_back(file.string());
    const std::string commit = official_client(hub, WRITE_TOKEN, upload);
    EXPECT_EQ(hub.state()["repositories"]["user/official"]["refs"]["main"], commit);
    // All three ways: in the commit, in one piece, in parts.
    EXPECT_EQ(hub.requests("PUT", "^/basic/").size(), 1U);
    EXPECT_EQ(hub.requests("PUT", "^/part/").size(), 10U);
    EXPECT_EQ(hub.requests("POST", "^/complete/").size(), 1U);
    const fs::path snapshot = official_client(hub, "", {"download", "user/official", (dir / "cache").string()});
    for (const fs::path & file : files)
        EXPECT_EQ(sha256_file_hex(snapshot / file.filename()), sha256_file_hex(file)) << file;
    // What is there is not sent again.
    const std::string second = official_client(hub, WRITE_TOKEN, upload);
    EXPECT_EQ(hub.requests("PUT", "").size(), 11U);
    // A pull request leaves main as it is.
    official_client(hub, WRITE_TOKEN, {"upload-pr", "user/official", random_file(dir, "more.txt", 10).string()});
    EXPECT_EQ(hub.state()["repositories"]["user/official"]["refs"]["main"], second);
    const std::string list = official_client(hub, WRITE_TOKEN, {"list", "user/official", "refs/pr/1"});
    EXPECT_NE(list.find("more.txt"), std::string::npos);
}

TEST(HubServer, TheOfficialClientReadsListsInPages) {
    const TestHub hub(Json{{"page_size", 2}});
    const TempDir dir;
    std::vector<std::string> upload{"upload", "user/pages"};
    for (int i = 0; i < 5; ++i)
        upload.push_back(random_file(dir, fmt::format("{}.txt", i), 10).string());
    official_client(hub, WRITE_TOKEN, upload);
    EXPECT_EQ(Json::parse(official_client(hub, WRITE_TOKEN, {"list", "user/pages", "main"})).size(), 6U);
}

TEST(HubServer, TheOfficialClientWorksOnABranch) {
    const TestHub hub;
    const TempDir dir;
    const std::string main =
        official_client(hub, WRITE_TOKEN, {"upload", "user/branches", random_file(dir, "on-main.txt", 10).string()});
    official_client(hub, WRITE_TOKEN, {"branch", "user/branches", "try/one"});
    EXPECT_EQ(hub.state()["repositories"]["user/branches"]["refs"]["try/one"], main);
    const fs::path more = random_file(dir, "more.gguf", 100000);
    official_client(hub, WRITE_TOKEN, {"upload-to", "user/branches", "try/one", more.string()});
    EXPECT_EQ(hub.state()["repositories"]["user/branches"]["refs"]["main"], main);
    const auto batches = hub.requests("POST", "/objects/batch$");
    ASSERT_EQ(batches.size(), 1U);
    EXPECT_EQ(Json::parse(batches[0]["body"].get<std::string>())["ref"]["name"], "try/one");
    const fs::path snapshot =
        official_client(hub, "", {"download", "user/branches", (dir / "cache").string(), "try/one"});
    EXPECT_EQ(sha256_file_hex(snapshot / "more.gguf"), sha256_file_hex(more));
    EXPECT_TRUE(fs::exists(snapshot / "on-main.txt"));
}

// A client that does everything by hand, and wrongly.
class BrokenClient : public ::testing::Test {
protected:
    BrokenClient() : client_(hub_.endpoint()), storage_(hub_.storage()) {
        client_.set_bearer_token_auth(WRITE_TOKEN);
        EXPECT_EQ(post("/api/repos/create", {{"name", "broken"}, {"type", "model"}}), 200);
    }

    int post(const std::string & path, const Json & body, const char * type = "application/json") {
        const auto result = client_.Post(path, {{"Accept", "application/vnd.git-lfs+json"}}, body.dump(), type);
        answer_ = Json::parse(result->body, nullptr, false);
        return result->status;
    }

    // The actions of the batch call for this content.
    Json actions(const std::string & content) {
        EXPECT_EQ(post("/user/broken.git/info/lfs/objects/batch",
                       {{"operation", "upload"},
                        {"transfers", {"basic", "multipart"}},
                        {"hash_algo", "sha256"},
                        {"objects", {{{"oid", sha256_hex(content)}, {"size", content.size()}}}}}),
                  200);
        return answer_["objects"][0]["actions"];
    }

    int put(const std::string & url, const std::string & body, const httplib::Headers & headers = {}) {
        const auto result = storage_.Put(url.substr(hub_.storage().size()), headers, body, "application/octet-stream");
        etag_ = result->get_header_value("ETag");
        return result->status;
    }

    int complete(const std::string & url, const std::string & oid, const Json & parts) {
        return storage_
            .Post(url.substr(hub_.storage().size()), Json{{"oid", oid}, {"parts", parts}}.dump(),
                  "application/vnd.git-lfs+json")
            ->status;
    }

    int commit(const std::string & lines) {
        return client_.Post("/api/models/user/broken/commit/main", lines, "application/x-ndjson")->status;
    }
    static std::string header(const std::string & parent = "") {
        Json value{{"summary", "test"}};
        if (!parent.empty()) value["parentCommit"] = parent;
        return Json{{"key", "header"}, {"value", value}}.dump() + "\n";
    }
    static std::string large_line(const std::string & oid, size_t size) {
        return Json{{"key", "lfsFile"},
                    {"value", {{"path", "x.gguf"}, {"algo", "sha256"}, {"oid", oid}, {"size", size}}}}
                   .dump() +
               "\n";
    }

    TestHub hub_;
    httplib::Client client_;
    httplib::Client storage_;
    Json answer_;
    std::string etag_;
};

TEST_F(BrokenClient, WrongBytesAreRefused) {
    const std::string content(1000, 'a');
    const std::string href = actions(content)["upload"]["href"];
    EXPECT_EQ(put(href, std::string(1000, 'b')), 400);
    EXPECT_EQ(put(href, std::string(999, 'a')), 400);
    EXPECT_EQ(put(href, content), 200);
    EXPECT_EQ(commit(header() + large_line(sha256_hex(content), 999)), 400);
    EXPECT_EQ(commit(header() + large_line(sha256_hex(content), 1000)), 200);
}

TEST_F(BrokenClient, TheTokenIsRefusedByTheStorage) {
    const std::string content(1000, 'a');
    const std::string href = actions(content)["upload"]["href"];
    EXPECT_EQ(put(href, content, {{"Authorization", std::string("Bearer ") + WRITE_TOKEN}}), 400);
}

TEST_F(BrokenClient, MissingPartsAndWrongETagsAreRefused) {
    const std::string content((5 << 20) + 1, 'a');
    const std::string oid = sha256_hex(content);
    const Json upload = actions(content)["upload"];
    const auto part = [&](int i) { return content.substr(static_cast<size_t>(i - 1) << 20, 1 << 20); };
    Json parts = Json::array();
    for (int i = 1; i <= 6; ++i) {
        const std::string href = upload["header"][fmt::format("{:05}", i)];
        if (i < 6) {
            EXPECT_EQ(put(href, part(i)), 200);
        }
        parts.push_back({{"partNumber", i}, {"etag", etag_}});
    }
    EXPECT_EQ(complete(upload["href"], oid, parts), 400);  // the sixth is missing
    EXPECT_EQ(put(upload["header"]["00006"], "ab"), 400);  // too long
    EXPECT_EQ(put(upload["header"]["00006"], "a"), 200);
    EXPECT_EQ(complete(upload["href"], oid, parts), 400);  // the ETag of another
    parts[5]["etag"] = etag_;
    EXPECT_EQ(complete(upload["href"], oid, parts), 200);
    EXPECT_EQ(post("/user/broken.git/info/lfs/verify", {{"oid", oid}, {"size", 5}}, "application/vnd.git-lfs+json"),
              404);
    EXPECT_EQ(post("/user/broken.git/info/lfs/verify", {{"oid", oid}, {"size", content.size()}},
                   "application/vnd.git-lfs+json"),
              200);
}

TEST_F(BrokenClient, WrongPartsAreFoundWhenTheyArePutTogether) {
    const std::string content(4 << 20, 'a');
    const Json upload = actions(content)["upload"];
    Json parts = Json::array();
    for (int i = 1; i <= 4; ++i) {
        EXPECT_EQ(put(upload["header"][fmt::format("{:05}", i)], std::string(1 << 20, i == 3 ? 'b' : 'a')), 200);
        parts.push_back({{"partNumber", i}, {"etag", etag_}});
    }
    EXPECT_EQ(complete(upload["href"], sha256_hex(content), parts), 400);
}

TEST_F(BrokenClient, CommitsOfWhatIsNotThereAreRefused) {
    EXPECT_EQ(commit(header() + large_line(std::string(64, 'a'), 5)), 400);
    EXPECT_EQ(commit(header(std::string(40, 'a'))), 412);
    const std::string content(1000, 'a');
    hub_.expire_urls();
    const std::string href = actions(content)["upload"]["href"];
    hub_.expire_urls();
    EXPECT_EQ(put(href, content), 403);
}

TEST_F(BrokenClient, BranchesAreMadeOnceAndFromWhatIsThere) {
    const std::string branch = "/api/models/user/broken/branch/";
    EXPECT_EQ(post(branch + "new", Json::object()), 200);
    EXPECT_EQ(post(branch + "new", Json::object()), 409);
    EXPECT_EQ(post(branch + "other", {{"startingPoint", "absent"}}), 404);
    EXPECT_EQ(post(branch + "a%20b", Json::object()), 400);
    const std::string main = hub_.state()["repositories"]["user/broken"]["refs"]["main"];
    for (const std::string & revision : {main, std::string("absent")})
        EXPECT_NE(client_.Post("/api/models/user/broken/commit/" + revision, header(), "application/x-ndjson")->status,
                  200);
}

TEST_F(BrokenClient, OthersMayNotWrite) {
    client_.set_bearer_token_auth(OTHER_TOKEN);
    EXPECT_EQ(commit(header()), 403);
    client_.set_bearer_token_auth(READ_TOKEN);
    EXPECT_EQ(commit(header()), 403);
    client_.set_bearer_token_auth("hf_unknown");
    EXPECT_EQ(commit(header()), 401);
}

}  // namespace
}  // namespace shimmy::e2e
