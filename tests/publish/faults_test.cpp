// Everything that goes wrong between here and the Hub, and a program that is killed at every step.
#include "publish_fixture.h"

#include "base/error.h"

#include <map>
#include <random>
#include <thread>

namespace shimmy::e2e {
namespace {

class FaultTest : public PublishTest {
protected:
    FaultTest() = default;

    // How often the storage has taken each part or whole object.
    std::map<std::string, int> times_taken() const {
        std::map<std::string, int> times;
        for (const Json & put : hub_.requests("PUT", "")) {
            std::string url = put["url"];
            url.resize(url.find_first_of("&?", url.find("partNumber") + 1));
            if (put["status"] == 200) ++times[url];
        }
        return times;
    }
    void expect_each_taken_once() const {
        const auto times = times_taken();
        EXPECT_GT(times.size(), 5U);
        for (const auto & [url, n] : times)
            EXPECT_EQ(n, 1) << url;
    }
    // Starts the program, and kills it once a request hangs by a fault.
    void kill_where_it_hangs(const TestHub & hub) const {
        std::vector<std::string> argv = arguments({"--yes"});
        argv.insert(argv.begin(), SHIMMY_PROGRAM);
        const auto n_hanging = [&hub] {
            const Json log = hub.log();
            return std::count_if(log.begin(), log.end(), [](const Json & entry) { return entry.contains("hangs"); });
        };
        const auto n_before = n_hanging();
        const ChildProcess program(argv);
        for (int i = 0; i < 600 && n_hanging() == n_before; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        ASSERT_GT(n_hanging(), n_before) << program.err();
        // For a while: between two parts it may be quiet, too, while others are sent beside the one that hangs.
        for (int i = 0, n_quiet = 0; i < 400 && n_quiet < 6; ++i) {
            n_quiet = is_quiet(hub) ? n_quiet + 1 : 0;
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        EXPECT_TRUE(is_quiet(hub));
    }  // SIGKILL
    // Every request but those that hang has its answer, and every part that the storage has taken is written down.
    bool is_quiet(const TestHub & hub) const {
        for (const Json & entry : hub.log()) {
            if (entry["status"].is_null() && !entry.contains("hangs")) return false;
        }
        std::map<std::string, int64_t> n_taken;  // by object: of the upload that is gone on with
        const Json state = hub.state();
        for (const Json & upload : state["uploads"])
            n_taken[upload["oid"]] = std::max(n_taken[upload["oid"]], upload["n_parts"].get<int64_t>());
        return std::all_of(n_taken.begin(), n_taken.end(), [&](const auto & taken) {
            const fs::path file = campaign_.out() / "publish/.uploads" / (taken.first + ".parts");
            const std::string lines = fs::exists(file) ? read_file(file) : "";
            return std::count(lines.begin(), lines.end(), '\n') >= taken.second;
        });
    }
    void expect_one_commit() const { EXPECT_EQ(repository()["n_commits"], 2); }
};

TEST_F(FaultTest, ABusyHubIsAskedAgain) {
    hub_.fault({{"path", "/preupload/"}, {"status", 429}, {"headers", {{"Retry-After", "1"}}}});
    hub_.fault({{"path", "/batch"}, {"status", 503}});
    hub_.fault({{"path", "/api/repos/create"}, {"status", 429}, {"headers", {{"RateLimit", "\"api\";r=0;t=1"}}}});
    hub_.fault({{"path", "partNumber=2"}, {"status", 500}});
    hub_.fault({{"path", "partNumber=3"}, {"status", 400}, {"json", {{"error", "RequestTimeout"}}}});
    hub_.fault({{"path", "/complete/"}, {"status", 502}});
    const ProcessResult result = publish();
    expect_published(result);
    EXPECT_NE(result.err.find("HTTP 429: trying again in 1.0 s"), std::string::npos) << result.err;
    expect_each_taken_once();
    expect_one_commit();
}

TEST_F(FaultTest, AHubThatStaysBusyIsGivenUp) {
    hub_.fault({{"path", "/whoami"}, {"status", 429}, {"headers", {{"Retry-After", "86400"}}}});
    expect_failure(arguments({"--yes"}), 1, {"limits how often"});
}

TEST_F(FaultTest, ADroppedPartIsSentAgain) {
    hub_.fault({{"method", "PUT"}, {"path", "partNumber=2"}, {"drop_after_bytes", 300000}});
    hub_.fault({{"method", "PUT"}, {"path", "partNumber=4"}, {"drop_after_bytes", 0}});
    hub_.fault({{"method", "PUT"}, {"path", "partNumber=5"}, {"lose_reply", true}});
    expect_published(publish());
    uint64_t model_bytes = 0;
    for (const std::string type : {"Q4_K_M", "Q2_K"})
        model_bytes += fs::file_size(campaign_.model(type));
    EXPECT_LE(hub_.stored_bytes(), model_bytes + (3U << 20));
}

TEST_F(FaultTest, ExpiredAddressesAreRenewed) {
    for (const bool keep : {true, false}) {
        TestHub hub(Json{{"keep_upload_id", keep}});
        hub.use(WRITE_TOKEN, home_.path());
        hub.fault({{"method", "PUT"}, {"path", "partNumber=4"}, {"status", 403}});
        const ProcessResult result = publish();
        expect_published(result);
        // Whether the Hub goes on with the upload, or has begun another and wants its parts again.
        EXPECT_EQ(result.err.find("has begun a new upload") == std::string::npos, keep) << result.err;
    }
}

TEST_F(FaultTest, AddressesThatNeverWorkAreGivenUp) {
    hub_.fault({{"method", "PUT"}, {"path", "."}, {"host", "storage"}, {"status", 403}, {"times", 1000}});
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("refuses every address"), std::string::npos) << result.err;
}

TEST_F(FaultTest, ALostCommitReplyDoesNotCommitTwice) {
    hub_.fault({{"path", "/commit/main"}, {"lose_reply", true}});
    expect_published(publish());
    expect_one_commit();
    EXPECT_EQ(hub_.requests("POST", "/commit/main").size(), 1U);
}

TEST_F(FaultTest, ACommitThatWasNotMadeIsMadeOnce) {
    hub_.fault({{"path", "/commit/main"}, {"status", 504}});
    hub_.fault({{"path", "/commit/main"}, {"drop_after_bytes", 0}});
    expect_published(publish());
    expect_one_commit();
    EXPECT_EQ(hub_.requests("POST", "/commit/main").size(), 3U);
}

TEST_F(FaultTest, ALostPullRequestIsFoundAgain) {
    write_file_atomic(home_ / "notes.txt", "by hand");
    official_client(hub_, WRITE_TOKEN, {"upload-pr", REPO, (home_ / "notes.txt").string()});
    hub_.fault({{"path", "create_pr=1"}, {"skip", 1}, {"lose_reply", true}});  // the first is preupload
    const ProcessResult result = publish({"--create-pr"});
    expect_published(result);
    EXPECT_NE(result.out.find("/discussions/2"), std::string::npos) << result.out;
    EXPECT_FALSE(repository()["refs"].contains("refs/pr/3"));
}

TEST_F(FaultTest, SomeoneElsesCommitIsNotOverwritten) {
    hub_.fault({{"path", "/commit/main"}, {"status", 412}});
    const ProcessResult result = publish();
    EXPECT_NE(result.err.find("someone else has changed"), std::string::npos) << result.err;
    EXPECT_EQ(repository()["n_commits"], 1);
}

TEST_F(FaultTest, ALostCompletionIsNoSecondUpload) {
    hub_.fault({{"path", "/complete/"}, {"lose_reply", true}});
    expect_published(publish());
    expect_each_taken_once();
}

TEST_F(FaultTest, AnObjectThatTheHubDoesNotHaveAfterwardsIsAnError) {
    hub_.fault({{"path", "/lfs/verify"}, {"status", 404}});
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("after its upload"), std::string::npos) << result.err;
}

TEST_F(FaultTest, WhatTheHubShowsWronglyIsSeen) {
    hub_.fault({{"method", "GET"}, {"path", "/resolve/[0-9a-f]+/README.md"}, {"corrupt", true}});
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.out.find("failed: README.md: fetched back and compared"), std::string::npos) << result.out;
    EXPECT_NE(read_file(campaign_.out() / "checklist.md").find("- [ ] `user/tiny`: README.md: fetched back"),
              std::string::npos);
    expect_published(publish());
}

TEST_F(FaultTest, AnswersThatAreNoneAreErrors) {
    for (const char * path : {"/api/repos/create", "/preupload/", "/batch", "/commit/main"}) {
        SCOPED_TRACE(path);
        hub_.fault({{"method", "POST"}, {"path", path}, {"status", 404}});
        EXPECT_EQ(publish().exit_code, 1);
        hub_.fault({{"method", "POST"}, {"path", path}, {"status", 200}, {"json", Json::array()}});
        const ProcessResult result = publish();
        EXPECT_EQ(result.exit_code, 1) << result.err;
        EXPECT_NE(result.err.find("shimmy: "), std::string::npos) << result.err;
    }
    expect_published(publish());
}

// --- killed at every step

struct KillPoint {
    const char * name;
    Json fault;
};

class Killed : public FaultTest, public ::testing::WithParamInterface<KillPoint> {};

TEST_P(Killed, TheSameCommandGoesOn) {
    hub_.fault(GetParam().fault);
    kill_where_it_hangs(hub_);
    expect_published(publish());
    expect_each_taken_once();
    expect_one_commit();
    EXPECT_TRUE(fs::is_empty(campaign_.out() / "publish/.uploads"));
}

INSTANTIATE_TEST_SUITE_P(
    At, Killed,
    ::testing::Values(KillPoint{"Create", {{"path", "/api/repos/create"}, {"hang", true}}},
                      KillPoint{"Batch", {{"path", "/batch"}, {"hang", true}}},
                      KillPoint{"StartOfAPart", {{"path", "partNumber=1&"}, {"hang_after_bytes", 0}}},
                      KillPoint{"MiddleOfAPart", {{"path", "partNumber=3"}, {"hang_after_bytes", 500000}}},
                      KillPoint{"LastPart", {{"path", "partNumber=6"}, {"hang_after_bytes", 1}}},
                      KillPoint{"BeforeCompletion", {{"path", "/complete/"}, {"hang_after_bytes", 0}}},
                      KillPoint{"AfterCompletion", {{"path", "/complete/"}, {"hang", true}}},
                      KillPoint{"SecondFile", {{"path", "partNumber=2"}, {"skip", 1}, {"hang_after_bytes", 1000}}},
                      KillPoint{"BeforeTheCommit", {{"path", "/commit/"}, {"hang_after_bytes", 100}}},
                      KillPoint{"AfterTheCommit", {{"path", "/commit/"}, {"hang", true}}}),
    [](const auto & point) { return std::string(point.param.name); });

TEST_F(FaultTest, KilledAgainAndAgain) {
    std::mt19937 random(7);
    for (int i = 0; i < 6; ++i) {
        const int part = std::uniform_int_distribution(1, 6)(random);
        const int n_bytes = std::uniform_int_distribution(0, 1 << 20)(random);
        SCOPED_TRACE(fmt::format("part {} at byte {}", part, n_bytes));
        hub_.mend();
        // Of one file or the other; if its part is there already, at the end of the upload.
        hub_.fault({{"method", "PUT"}, {"path", fmt::format("partNumber={}&", part)}, {"hang_after_bytes", n_bytes}});
        hub_.fault({{"path", "/complete/"}, {"hang_after_bytes", 0}});
        kill_where_it_hangs(hub_);
    }
    hub_.mend();
    expect_published(publish());
    expect_each_taken_once();
    expect_one_commit();
}

TEST_F(FaultTest, AddressesThatExpiredAfterAKill) {
    for (const bool keep : {true, false}) {
        TestHub hub(Json{{"keep_upload_id", keep}});
        hub.use(WRITE_TOKEN, home_.path());
        hub.fault({{"method", "PUT"}, {"path", "partNumber=5&"}, {"hang_after_bytes", 1000}});
        kill_where_it_hangs(hub);
        const uint64_t sent = hub.stored_bytes();
        hub.expire_urls();
        const ProcessResult result = publish();
        expect_published(result);
        const uint64_t all = fs::file_size(campaign_.model("Q4_K_M")) + fs::file_size(campaign_.model("Q2_K"));
        // The Hub goes on with the upload, or wants the parts of that one file again.
        EXPECT_EQ(result.err.find("has begun a new upload") == std::string::npos, keep) << result.err;
        EXPECT_LE(hub.stored_bytes(), all + (keep ? 0 : sent) + (4U << 20));
    }
}

TEST_F(FaultTest, AddressesThatExpireTooSoonAreGivenUp) {
    hub_.fault({{"method", "PUT"}, {"path", "partNumber=6&"}, {"status", 403}, {"times", 1000}});
    const ProcessResult result = publish();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("addresses expire before its"), std::string::npos) << result.err;
    EXPECT_EQ(repository()["n_commits"], 1);
}

TEST_F(FaultTest, CtrlCStopsAtOnceAndLosesNothing) {
    hub_.fault({{"path", "partNumber=5"}, {"hang_after_bytes", 1000}});
    std::vector<std::string> argv = arguments({"--yes"});
    argv.insert(argv.begin(), SHIMMY_PROGRAM);
    ChildProcess program(argv);
    for (int i = 0; i < 600 && hub_.requests("PUT", "partNumber=5").empty(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (int i = 0; i < 400 && !is_quiet(hub_); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(program.stop(std::chrono::seconds(20)), 130);  // or 137, if it went on
    expect_published(publish());
    expect_each_taken_once();
}

}  // namespace
}  // namespace shimmy::e2e
