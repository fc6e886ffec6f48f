#include "lab/campaign/result.h"

#include "fabricated_document.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

class Result : public ::testing::Test {
protected:
    Result() {
        campaign_ = fabricated_campaign(dir_.path());
        variant_ = {"m", "F16", campaign_.models[0].path, campaign_.models[0].path};
        run_ = {0, engine::Placement::offload(), 1, 1};
    }

    Json settings(const std::string & sha256 = "abc") const {
        return run_settings(campaign_, variant_, run_, sha256, "shimmy 0.1.0 (llama.cpp 0.5.0)", {});
    }
    Json record() const {
        return {{"campaign", "demo"}, {"settings", settings()}, {"started_at", "2026-01-01T00:00:00Z"}};
    }

    static ProcessResult finished(int exit_code, const std::string & out, const std::string & err = "") {
        return {exit_code, false, out, err};
    }
    static std::string good_output() { return fabricated_document("offload", {1000, 20.0, 40.0}).dump(); }

    // State of `content` as the stored file of the run.
    StoredResult load(const std::string & content) {
        const fs::path file = dir_ / "result.json";
        write_file_atomic(file, content);
        return load_result(file, settings());
    }

    TempDir dir_;
    Campaign campaign_;
    Variant variant_;
    lab::Run run_;
};

TEST_F(Result, AFinishedRunIsStoredAndFoundValid) {
    const Json result = make_result(record(), finished(0, good_output()), 60);
    EXPECT_FALSE(result.contains("error"));
    EXPECT_EQ(result["ttft_ms"], 20.0);
    EXPECT_EQ(result["run"]["settings"]["prompt_id"], "b");
    const StoredResult stored = load(result.dump());
    EXPECT_EQ(stored.state, ResultState::valid);
    EXPECT_EQ(stored.document, result);
}

TEST_F(Result, AbsentStaleAndCorruptFilesAreToldApart) {
    EXPECT_EQ(load_result(dir_ / "no.json", settings()).state, ResultState::absent);
    const std::string whole = make_result(record(), finished(0, good_output()), 60).dump(2);
    EXPECT_EQ(load(whole.substr(0, whole.size() / 2)).state, ResultState::invalid);
    EXPECT_EQ(load("").state, ResultState::invalid);
    EXPECT_EQ(load("[1, 2]").state, ResultState::invalid);
    EXPECT_EQ(load("{\"run\": 3}").state, ResultState::invalid);

    write_file_atomic(dir_ / "result.json", whole);
    EXPECT_EQ(load_result(dir_ / "result.json", settings("def")).state, ResultState::stale);
    campaign_.seed = 7;
    EXPECT_EQ(load_result(dir_ / "result.json", settings()).state, ResultState::stale);
    campaign_.seed = 42;
    campaign_.prompts[1].text = "Another text b";
    EXPECT_EQ(load_result(dir_ / "result.json", settings()).state, ResultState::stale);
}

TEST_F(Result, AFigureThatIsGoneMakesAFileInvalid) {
    Json result = make_result(record(), finished(0, good_output()), 60);
    result["memory"].erase("vram_bytes");
    EXPECT_EQ(load(result.dump()).state, ResultState::invalid);
    result = make_result(record(), finished(0, good_output()), 60);
    result["ttft_ms"] = "20";
    EXPECT_EQ(load(result.dump()).state, ResultState::invalid);
}

std::string message_of(const Json & result) {
    return result.contains("error") ? result["error"]["message"].get<std::string>() : "";
}

TEST_F(Result, FailuresCarryTheReason) {
    const Json told = make_result(
        record(), finished(1, R"({"error": {"message": "does not fit", "exit_code": 1}})", "shimmy: x"), 60);
    EXPECT_EQ(message_of(told), "does not fit");
    EXPECT_EQ(told["error"]["exit_code"], 1);
    EXPECT_EQ(message_of(make_result(record(), finished(3, "", "first\nlast line\n"), 60)), "exit code 3: last line");
    EXPECT_EQ(message_of(make_result(record(), finished(139, "", ""), 60)), "ended by signal 11");
    ProcessResult late = finished(137, "", "");
    late.timed_out = true;
    EXPECT_EQ(message_of(make_result(record(), late, 60)), "did not finish within 60 s");
    EXPECT_NE(message_of(make_result(record(), finished(0, "not json"), 60)).find("is not a JSON document"),
              std::string::npos);
    const StoredResult stored = load(told.dump());
    EXPECT_EQ(stored.state, ResultState::failed);
    EXPECT_EQ(stored.reason, "does not fit");
}

TEST_F(Result, ARunThatUsedAnotherPlacementIsAFailure) {
    const std::string output = fabricated_document("baseline", {1000, 20.0, 40.0}).dump();
    EXPECT_NE(message_of(make_result(record(), finished(0, output), 60)).find("ran as baseline, not as offload"),
              std::string::npos);
}

}  // namespace
}  // namespace shimmy::lab
