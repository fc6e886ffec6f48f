// Models from the Hub: into the cache that all clients share, and from there into every command.
#include "publish_fixture.h"

#include "base/error.h"

#include <set>
#include <thread>

namespace shimmy::e2e {
namespace {

class PullTest : public PublishTest {
protected:
    PullTest() {
        expect_published(publish());
        use_machine(machine_);
        n_before_ = hub_.requests("GET", "^/store/").size();
    }

    // Another machine: another home, and no token.
    void use_machine(const TempDir & home) const { hub_.use("", home.path()); }
    fs::path cached(const std::string & file) const {
        const std::string commit = repository()["refs"]["main"];
        return machine_ / "hub/models--user--tiny/snapshots" / commit / file;
    }
    fs::path blob(const std::string & type) const {
        return machine_ / "hub/models--user--tiny/blobs" / sha256_file_hex(campaign_.model(type));
    }
    // Since the model was published, which downloads a part of it.
    size_t n_downloads() const { return hub_.requests("GET", "^/store/").size() - n_before_; }

    TempDir machine_;
    size_t n_before_ = 0;
};

TEST_F(PullTest, APublishedModelRunsWithOneCommand) {
    const std::vector<std::string> generate{
        "generate", "--model", "hf:user/tiny:q4_k_m", "--prompt", "Hello", "--max-tokens", "4", "--device", "cpu"};
    const Json answer = shimmy_json(generate);
    EXPECT_EQ(answer["n_output_tokens"], 4);
    EXPECT_EQ(answer["model"]["quantization"], "Q4_K_M");
    EXPECT_EQ(n_downloads(), 1U);
    const Json again = shimmy_json(generate);
    EXPECT_EQ(again["text"], answer["text"]);
    EXPECT_EQ(n_downloads(), 1U);
    setenv("HF_HUB_OFFLINE", "1", 1);
    EXPECT_EQ(shimmy_json(generate)["text"], answer["text"]);
    expect_failure({"pull", "user/tiny:Q2_K"}, 1, {"HF_HUB_OFFLINE"});
    unsetenv("HF_HUB_OFFLINE");
    setenv("HF_ENDPOINT", "http://127.0.0.1:9", 1);  // nobody answers there
    EXPECT_EQ(shimmy_json({"pull", "user/tiny:Q4_K_M"})["fetched_bytes"], 0);
    const ProcessResult without = shimmy({"pull", "user/other:Q4_K_M"});
    EXPECT_EQ(without.exit_code, 1);
    EXPECT_NE(without.err.find("is there a network? (HF_ENDPOINT names another Hub)"), std::string::npos)
        << without.err;
    EXPECT_EQ(without.err.find("trying again"), std::string::npos) << "said at once: " << without.err;
}

TEST_F(PullTest, TheCacheIsTheOneOfTheOfficialClient) {
    const Json pulled = shimmy_json({"pull", "user/tiny:Q2_K"});
    EXPECT_EQ(pulled["files"][0], cached("tiny-moe-Q2_K.gguf").string());
    EXPECT_EQ(sha256_file_hex(cached("tiny-moe-Q2_K.gguf")), sha256_file_hex(campaign_.model("Q2_K")));
    EXPECT_TRUE(fs::is_symlink(cached("tiny-moe-Q2_K.gguf")));
    EXPECT_TRUE(fs::is_regular_file(blob("Q2_K")));
    EXPECT_EQ(read_file(machine_ / "hub/models--user--tiny/refs/main"), repository()["refs"]["main"]);
    // It finds the file there and does not download it again.
    const fs::path snapshot = official_client(hub_, "", {"download", REPO, (machine_ / "hub").string()});
    EXPECT_EQ(snapshot / "tiny-moe-Q2_K.gguf", cached("tiny-moe-Q2_K.gguf"));
    std::set<std::string> downloaded;
    for (const Json & request : hub_.requests("GET", "^/store/" + sha256_file_hex(campaign_.model("Q2_K"))))
        downloaded.insert(request["url"]);
    EXPECT_EQ(downloaded.size(), 1U);
    // And we find what it has downloaded.
    EXPECT_EQ(shimmy_json({"pull", "user/tiny:Q4_K_M"})["fetched_bytes"], 0);
    // `shimmy list` does as well, and plan needs no header of a file that is here.
    EXPECT_EQ(shimmy_json({"plan", "--repo", REPO, "--quant", "Q2_K", "--device", "cpu"})["fetched_bytes"], 0);
}

TEST_F(PullTest, ADownloadThatBreaksGoesOn) {
    const uint64_t size = fs::file_size(campaign_.model("Q4_K_M"));
    hub_.fault({{"host", "storage"}, {"method", "GET"}, {"send_bytes", 1000000}});
    hub_.fault({{"host", "storage"}, {"method", "GET"}, {"status", 503}});
    EXPECT_EQ(shimmy_json({"pull", "user/tiny:Q4_K_M"})["fetched_bytes"], size);
    EXPECT_EQ(n_downloads(), 3U);
    EXPECT_NE(hub_.requests("GET", "^/store/").back()["headers"]["range"].get<std::string>().find("bytes=1000000-"),
              std::string::npos);
    EXPECT_EQ(sha256_file_hex(blob("Q4_K_M")), sha256_file_hex(campaign_.model("Q4_K_M")));
}

TEST_F(PullTest, AKilledDownloadGoesOn) {
    const fs::path incomplete = blob("Q4_K_M").string() + ".incomplete";
    hub_.fault({{"host", "storage"}, {"method", "GET"}, {"send_bytes", 2000000}});
    hub_.fault({{"host", "storage"}, {"method", "GET"}, {"hang", true}});
    {
        const ChildProcess program({SHIMMY_PROGRAM, "pull", "user/tiny:Q4_K_M"});
        for (int i = 0; i < 200 && n_downloads() < 2; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }  // SIGKILL
    EXPECT_EQ(fs::file_size(incomplete), 2000000U);
    EXPECT_EQ(shimmy_json({"pull", "user/tiny:Q4_K_M"})["fetched_bytes"],
              fs::file_size(campaign_.model("Q4_K_M")) - 2000000);
    EXPECT_FALSE(fs::exists(incomplete));
}

TEST_F(PullTest, WrongBytesAreNotKept) {
    hub_.fault({{"host", "storage"}, {"method", "GET"}, {"corrupt", true}});
    const ProcessResult result = shimmy({"pull", "user/tiny:Q4_K_M"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("hash differs"), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(blob("Q4_K_M")));
    // What an earlier time has left may be wrong: then all of it is fetched again.
    write_file_atomic(blob("Q4_K_M").string() + ".incomplete", std::string(100000, 'x'));
    shimmy_json({"pull", "user/tiny:Q4_K_M"});
    EXPECT_EQ(sha256_file_hex(blob("Q4_K_M")), sha256_file_hex(campaign_.model("Q4_K_M")));
}

TEST_F(PullTest, AFullDiskKeepsWhatCame) {
    // A limit on file size fails writes as a full disk does.
    const ProcessResult result = run_process(
        {"bash", "-c", fmt::format("ulimit -f 2048; exec {} pull user/tiny:Q4_K_M", SHIMMY_PROGRAM)}, RUN_TIMEOUT);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find(".incomplete: "), std::string::npos) << result.err;
    const uint64_t kept = fs::file_size(blob("Q4_K_M").string() + ".incomplete");
    EXPECT_EQ(kept, 2048U * 1024);
    EXPECT_EQ(shimmy_json({"pull", "user/tiny:Q4_K_M"})["fetched_bytes"],
              fs::file_size(campaign_.model("Q4_K_M")) - kept);
    EXPECT_EQ(sha256_file_hex(blob("Q4_K_M")), sha256_file_hex(campaign_.model("Q4_K_M")));
}

TEST_F(PullTest, ADiskThatIsTooSmallIsToldBefore) {
    const fs::path huge = home_ / "huge-Q4_K_M.gguf";
    write_file_atomic(huge, "");
    fs::resize_file(huge, uint64_t{8} << 40);  // a hole
    const TestHub hub(Json{{"preload", {{"user/huge", {{"huge-Q4_K_M.gguf", huge.string()}}}}}});
    hub.use("", machine_.path());
    expect_failure({"pull", "user/huge"}, 1, {"8192.00 GiB", "free", "HF_HOME"});
    EXPECT_TRUE(hub.requests("GET", "^/store/").empty());
}

TEST_F(PullTest, ErrorsSayTheWayOut) {
    expect_failure({"pull", "user/tiny"}, 1, {"which one", "Q4_K_M.gguf", "Q2_K.gguf"});
    expect_failure({"pull", "user/tiny:Q8_0"}, 1, {"Q8_0", "there is"});
    expect_failure({"pull", "user/absent"}, 1, {"user/absent", "not found", "HF_TOKEN"});
    expect_failure({"pull", "tiny"}, 2, {"USER/NAME"});
    expect_failure({"pull", "user/tiny:"}, 2, {"quantization"});
    expect_failure({"generate", "--model", "hf:user/tiny:Q8_0", "--prompt", "x"}, 1, {"Q8_0"});
}

TEST_F(PullTest, ACacheThatIsAFileIsTold) {
    const fs::path file = home_ / "a-file";
    write_file_atomic(file, "text");
    ::setenv("HF_HOME", file.c_str(), 1);
    for (const std::vector<std::string> & args :
         {std::vector<std::string>{"pull", "user/tiny:Q2_K"}, {"generate", "hf:user/tiny:Q2_K", "-p", "x"}})
        expect_failure(args, 1, {file.string() + ": is a file, where a folder is needed", "set HF_HOME"});
    EXPECT_EQ(read_file(file), "text");
    use_machine(machine_);
}

TEST_F(PullTest, APrivateRepositoryNeedsTheToken) {
    hub_.use(WRITE_TOKEN, home_.path());
    expect_published(shimmy({"publish", campaign_.file().string(), "--repo", "user/hidden", "--private", "--yes"}));
    use_machine(machine_);
    expect_failure({"pull", "user/hidden:Q2_K"}, 1, {"not found", "HF_TOKEN"});
    hub_.use(READ_TOKEN, machine_.path());
    EXPECT_GT(shimmy_json({"pull", "user/hidden:Q2_K"})["fetched_bytes"], 0);
    for (const Json & request : hub_.requests("GET", "^/store/"))
        EXPECT_FALSE(request["headers"].contains("authorization"));
}

TEST_F(PullTest, ARenamedRepositoryIsFollowed) {
    hub_.set({{"renamed", {{"user/tiny", "user/tiny"}}}});  // to itself: without end
    expect_failure({"pull", "user/tiny:Q2_K"}, 1, {"redirects without end"});
}

}  // namespace
}  // namespace shimmy::e2e
