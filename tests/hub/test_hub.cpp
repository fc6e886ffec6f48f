#include "test_hub.h"

#include "base/error.h"
#include "base/process/subprocess.h"

#include "httplib.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>

namespace shimmy::e2e {

namespace {

const std::string HUB_TESTS = std::string(SHIMMY_SOURCE_DIR) + "/tests/hub";

std::string trimmed(std::string text) {
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

}  // namespace

TestHub::TestHub(const Json & settings) {
    process_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{"node", HUB_TESTS + "/server/main.mjs", (dir_ / "storage").string(), settings.dump()});
    const auto line = process_->read_line(std::chrono::seconds(30));
    if (!line) fail("the Hub test server did not start: {}", process_->err());
    const Json addresses = Json::parse(*line);
    endpoint_ = addresses["endpoint"];
    storage_ = addresses["storage"];
}

Json TestHub::get(const std::string & path) const {
    httplib::Client client(endpoint_);
    const auto result = client.Get(path);
    if (!result || result->status != 200) fail("the Hub test server has ended: {}", process_->err());
    return Json::parse(result->body);
}

void TestHub::control(const std::string & call, const Json & body) const {
    httplib::Client client(endpoint_);
    const auto result = client.Post("/_control/" + call, body.dump(), "application/json");
    if (!result || result->status != 200) fail("the Hub test server has ended: {}", process_->err());
}

Json TestHub::log() const {
    return get("/_control/log");
}

Json TestHub::state() const {
    return get("/_control/state");
}

std::vector<Json> TestHub::requests(const std::string & method, const std::string & url_pattern) const {
    const std::regex pattern(url_pattern);
    std::vector<Json> found;
    for (const Json & entry : log()) {
        if (entry["method"] == method && std::regex_search(entry["url"].get<std::string>(), pattern))
            found.push_back(entry);
    }
    return found;
}

uint64_t TestHub::stored_bytes() const {
    uint64_t bytes = 0;
    for (const Json & entry : log()) {
        if (entry["host"] == "storage" && entry["method"] == "PUT") bytes += entry["body_bytes"].get<uint64_t>();
    }
    return bytes;
}

void TestHub::use(const std::string & token, const std::filesystem::path & home) const {
    setenv("HF_ENDPOINT", endpoint_.c_str(), 1);
    setenv("HF_TOKEN", token.c_str(), 1);
    setenv("HF_TOKEN_PATH", "/nowhere", 1);
    setenv("HF_HOME", home.c_str(), 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_HUB_OFFLINE");
    unsetenv("HUGGING_FACE_HUB_TOKEN");
}

std::string official_client(const TestHub & hub, const std::string & token, const std::vector<std::string> & args) {
    static const std::string packages =
        trimmed(run_process({std::string(SHIMMY_SOURCE_DIR) + "/scripts/fetch-node-packages.sh"}).out);
    std::vector<std::string> argv{"node", HUB_TESTS + "/official_client.mjs", packages, hub.endpoint(), token};
    argv.insert(argv.end(), args.begin(), args.end());
    const ProcessResult result = run_process(argv, std::chrono::minutes(2));
    EXPECT_TRUE(result.ok()) << result.err;
    const std::string out = trimmed(result.out);  // a download tells about each file first
    return out.substr(out.rfind('\n') + 1);
}

}  // namespace shimmy::e2e
