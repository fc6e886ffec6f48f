// The bytes that are sent are the ones that were measured, whatever happens to the file meanwhile.
#include "publish_fixture.h"

#include "base/error.h"

#include <fstream>
#include <thread>

namespace shimmy::e2e {
namespace {

// In one piece and in parts.
class ChangingFile : public PublishTest, public ::testing::WithParamInterface<bool> {
protected:
    ChangingFile() : PublishTest(Json{{"multipart_from_bytes", GetParam() ? 1 << 20 : 1 << 30}}) {
        fs::remove(model_);  // a link to one that other tests use
        fs::copy_file(tiny_moe("Q4_K_M"), model_);
        time_ = fs::last_write_time(model_);
    }

    // Without a trace in size or time: no cache of hashes can know.
    void flip_byte(uint64_t at) const {
        std::fstream file(model_, std::ios::binary | std::ios::in | std::ios::out);
        file.seekg(static_cast<std::streamoff>(at));
        const char byte = static_cast<char>(file.get() ^ 1);
        file.seekp(static_cast<std::streamoff>(at));
        file.put(byte);
        file.close();
        fs::last_write_time(model_, time_);
    }
    // Busy for so long before this request is taken.
    void keep_waiting(const std::string & path, int seconds) {
        hub_.fault({{"method", "PUT"},
                    {"path", path},
                    {"status", 503},
                    {"headers", {{"Retry-After", std::to_string(seconds)}}}});
    }
    bool wait_for_put(const std::string & path, int status) const {
        for (int i = 0; i < 400; ++i) {
            for (const Json & put : hub_.requests("PUT", path)) {
                if (put["status"] == status) return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(25));
        }
        return false;
    }
    std::vector<std::string> command() const {
        std::vector<std::string> argv = arguments({"--quant", "Q4_K_M", "--yes"});
        argv.insert(argv.begin(), SHIMMY_PROGRAM);
        return argv;
    }
    int end_of(ChildProcess & program) const {
        for (int i = 0; i < 1200 && !program.has_ended(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return program.stop(std::chrono::seconds(1));
    }
    void expect_nothing_committed() const {
        EXPECT_EQ(repository()["n_commits"], 1);
        EXPECT_TRUE(hub_.requests("POST", "/commit/").empty());
        EXPECT_TRUE(hub_.requests("POST", "/complete/").empty());
        EXPECT_TRUE(hub_.state()["objects"].empty());
    }
    // Of a part in the middle, or of the whole.
    std::string request() const { return GetParam() ? "partNumber=3&" : "/basic/"; }

    const fs::path model_ = campaign_.model("Q4_K_M");
    fs::file_time_type time_;
};

INSTANTIATE_TEST_SUITE_P(Uploaded, ChangingFile, ::testing::Bool(),
                         [](const auto & in_parts) { return std::string(in_parts.param ? "InParts" : "InOnePiece"); });

TEST_P(ChangingFile, ChangedBeforeIsNotCommitted) {
    shimmy(arguments({"--quant", "Q4_K_M", "--dry-run"}));  // its hash is known from here on
    flip_byte(2500000);
    const ProcessResult result = publish({"--quant", "Q4_K_M"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("is not what was to be uploaded"), std::string::npos) << result.err;
    expect_nothing_committed();
    flip_byte(2500000);
    expect_published(publish({"--quant", "Q4_K_M"}));
    EXPECT_EQ(repository()["n_commits"], 2);
}

TEST_P(ChangingFile, ChangedMeanwhileIsNotCommitted) {
    keep_waiting(request(), 4);
    ChildProcess program(command());
    ASSERT_TRUE(wait_for_put(request(), 503)) << program.err();
    flip_byte(2500000);
    EXPECT_EQ(end_of(program), 1);
    const char * reason = GetParam() ? "is being written to" : "is not what was to be uploaded";
    EXPECT_NE(program.err().find(reason), std::string::npos) << program.err();
    expect_nothing_committed();
    flip_byte(2500000);
    expect_published(publish({"--quant", "Q4_K_M"}));
    EXPECT_EQ(repository()["n_commits"], 2);
}

class ChangingParts : public ChangingFile {};

INSTANTIATE_TEST_SUITE_P(Uploaded, ChangingParts, ::testing::Values(true));

TEST_P(ChangingParts, ChangedAndChangedBackIsSentAgain) {
    keep_waiting(request(), 2);
    keep_waiting("partNumber=5&", 9);
    ChildProcess program(command());
    ASSERT_TRUE(wait_for_put(request(), 503)) << program.err();
    flip_byte(2500000);
    ASSERT_TRUE(wait_for_put(request(), 200)) << program.err();
    flip_byte(2500000);
    EXPECT_EQ(end_of(program), 0) << program.err();
    EXPECT_NE(program.err().find("1 parts were sent with other bytes"), std::string::npos) << program.err();
    EXPECT_EQ(hub_.state()["objects"].size(), 1U);
    const fs::path snapshot = official_client(hub_, "", {"download", REPO, (home_ / "cache").string()});
    EXPECT_EQ(sha256_file_hex(snapshot / model_.filename()), sha256_file_hex(tiny_moe("Q4_K_M")));
}

}  // namespace
}  // namespace shimmy::e2e
