// The bytes that are sent are the ones that were measured, whatever happens to the file meanwhile.
#include "publish_fixture.h"

#include "base/error.h"

#include <algorithm>
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
    // This request is taken, and answered with "busy" once it is released.
    void hold(const std::string & path) {
        hub_.fault({{"method", "PUT"}, {"path", path}, {"status", 503}, {"hold", true}});
    }
    template <typename Condition>
    static bool wait_until(Condition condition) {
        for (int i = 0; i < 4800; ++i) {
            if (condition()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(25));
        }
        return false;
    }
    bool wait_for_put(const std::string & path, const char * member, const Json & value) const {
        return wait_until([&] {
            const std::vector<Json> puts = hub_.requests("PUT", path);
            return std::any_of(puts.begin(), puts.end(),
                               [&](const Json & put) { return put.value(member, Json()) == value; });
        });
    }
    // Until none of its threads computes or reads: besides waiting for the Hub it has nothing to do, so that it has
    // hashed the file, which a thread of its own does.
    static bool wait_for_rest(const ChildProcess & program) {
        constexpr int N_SAMPLES = 5;
        int n_resting = 0;
        return wait_until([&] {
            bool rests = true;
            for (const auto & task : fs::directory_iterator(fmt::format("/proc/{}/task", program.pid()))) {
                std::string stat;
                std::getline(std::ifstream(task.path() / "stat"), stat);
                const size_t name_end = stat.rfind(')');
                rests = rests && name_end != std::string::npos && stat.substr(name_end + 2, 1) == "S";
            }
            n_resting = rests ? n_resting + 1 : 0;
            return n_resting == N_SAMPLES;
        });
    }
    // Its first try of `request()` is held, and all else is done.
    bool wait_for_hold(const ChildProcess & program) const {
        return wait_for_put(request(), "held", true) && wait_for_rest(program);
    }
    std::vector<std::string> command() const {
        std::vector<std::string> argv = arguments({"--quant", "Q4_K_M", "--yes"});
        argv.insert(argv.begin(), SHIMMY_PROGRAM);
        return argv;
    }
    int end_of(ChildProcess & program) const {
        wait_until([&] { return program.has_ended(); });
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
    hold(request());
    ChildProcess program(command());
    ASSERT_TRUE(wait_for_hold(program)) << program.err();
    flip_byte(2500000);
    hub_.release(request());
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
    const std::string another = "partNumber=5&";
    hold(request());
    hold(another);
    ChildProcess program(command());
    ASSERT_TRUE(wait_for_put(another, "held", true) && wait_for_hold(program)) << program.err();
    flip_byte(2500000);
    hub_.release(request());
    ASSERT_TRUE(wait_for_put(request(), "status", 200)) << program.err();
    flip_byte(2500000);
    hub_.release(another);
    EXPECT_EQ(end_of(program), 0) << program.err();
    EXPECT_NE(program.err().find("1 parts were sent with other bytes"), std::string::npos) << program.err();
    EXPECT_EQ(hub_.state()["objects"].size(), 1U);
    const fs::path snapshot = official_client(hub_, "", {"download", REPO, (home_ / "cache").string()});
    EXPECT_EQ(sha256_file_hex(snapshot / model_.filename()), sha256_file_hex(tiny_moe("Q4_K_M")));
}

}  // namespace
}  // namespace shimmy::e2e
