// The requests of our client and of the Hub's official one, for the same files.
#include "publish_fixture.h"

#include "base/error.h"

#include <map>
#include <sstream>

namespace shimmy::e2e {
namespace {

// What a request that changes something says, without what differs from run to run: signatures, ETags, commit messages.
struct Said {
    std::vector<Json> preupload_files;
    std::map<std::string, Json> batch_objects;  // by oid
    Json create;                                // without visibility, which the official client leaves to the account
    Json batch;                                 // without objects and the spelling of the hash
    std::map<std::string, uint64_t> puts;       // "/part/<oid>?partNumber=1" -> bytes
    std::vector<std::string> commit_lines;      // sorted, without the header
    std::map<std::string, std::string> types;   // Content-Type and Accept by call
};

Said said_in(const Json & log, const std::string & repo) {
    Said said;
    for (const Json & entry : log) {
        const std::string url = entry["url"];
        const Json & headers = entry["headers"];
        const auto note_types = [&](const std::string & call) {
            said.types[call] = headers.value("content-type", "");
            if (call == "batch" || call == "complete") said.types[call] += " " + headers.value("accept", "");
        };
        if (url == "/api/repos/create") {
            note_types("create");
            said.create = Json::parse(entry["body"].get<std::string>());
            said.create.erase("visibility");
        } else if (url == "/api/models/" + repo + "/preupload/main") {
            note_types("preupload");
            for (const Json & file : Json::parse(entry["body"].get<std::string>())["files"])
                said.preupload_files.push_back(
                    {{"path", file["path"]}, {"size", file["size"]}, {"sample", file["sample"]}});
        } else if (url == "/" + repo + ".git/info/lfs/objects/batch") {
            note_types("batch");
            Json body = Json::parse(entry["body"].get<std::string>());
            for (const Json & object : body["objects"])
                said.batch_objects[object["oid"]] = object["size"];
            body.erase("objects");
            body.erase("hash_algo");
            said.batch = body;
        } else if (entry["method"] == "PUT") {
            EXPECT_FALSE(headers.contains("authorization"));
            EXPECT_FALSE(headers.contains("transfer-encoding"));
            said.puts[url.substr(0, url.find_first_of("&?", url.find("partNumber") + 1))] = entry["body_bytes"];
        } else if (url == "/api/models/" + repo + "/commit/main") {
            note_types("commit");
            std::istringstream lines(entry["body"].get<std::string>());
            for (std::string line; std::getline(lines, line);) {
                const Json json = Json::parse(line);
                if (json["key"] != "header") said.commit_lines.push_back(nlohmann::json(json).dump());
            }
        } else if (url.starts_with("/complete/")) {
            EXPECT_FALSE(headers.contains("authorization"));
            note_types("complete");
        }
    }
    const auto by_path = [](const Json & a, const Json & b) { return a["path"] < b["path"]; };
    std::sort(said.preupload_files.begin(), said.preupload_files.end(), by_path);
    std::sort(said.commit_lines.begin(), said.commit_lines.end());
    return said;
}

TEST_F(PublishTest, RequestsAreThoseOfTheOfficialClient) {
    expect_published(publish());
    const Said ours = said_in(hub_.log(), REPO);
    TestHub other;
    std::vector<std::string> upload{"upload", "user/tiny"};
    for (const auto & entry : fs::directory_iterator(campaign_.out() / "publish/tiny"))
        upload.push_back(entry.path().string());
    for (const std::string type : {"Q4_K_M", "Q2_K"})
        upload.push_back(campaign_.model(type).string());
    official_client(other, WRITE_TOKEN, upload);
    const Said theirs = said_in(other.log(), REPO);
    EXPECT_EQ(nlohmann::json(ours.create), nlohmann::json(theirs.create));
    EXPECT_EQ(ours.preupload_files, theirs.preupload_files);
    EXPECT_EQ(ours.batch_objects, theirs.batch_objects);
    EXPECT_EQ(nlohmann::json(ours.batch), nlohmann::json(theirs.batch));
    EXPECT_EQ(ours.puts, theirs.puts);
    EXPECT_EQ(ours.commit_lines, theirs.commit_lines);
    EXPECT_EQ(ours.types, theirs.types);
    EXPECT_FALSE(ours.commit_lines.empty());
    EXPECT_GT(ours.puts.size(), 5U);
}

}  // namespace
}  // namespace shimmy::e2e
