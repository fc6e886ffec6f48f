#include "lab/run/campaign_run.h"

#include "base/error.h"
#include "fabricated_document.h"
#include "lab/measure/summary_json.h"
#include "lab/plan/plan_file.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::lab {
namespace {

// A campaign of two quantizations, two placements and two prompts over a stand-in for the program that answers at
// once, and for the quantizer that writes a small file.
class CampaignRun : public ::testing::Test {
protected:
    CampaignRun() {
        campaign_ = fabricated_campaign(dir_.path());
        write_file_atomic(campaign_.models[0].path, "the F16 model");
        options_.program = "/bin/shimmy";
        options_.command = "shimmy lab run demo.toml";
        options_.quiet = true;
        hooks_.read_input = [this](const CampaignModel &) { return input_; };
        hooks_.variant_bytes = [this](const Campaign &, const Variant &) { return quantized_bytes_; };
        hooks_.make_variant = [this](const Campaign &, const Variant & variant, const ByteProgress &) {
            if (variant.quantization == cannot_make_) throw Error("no such type here");
            if (variant.quantization == interrupted_at_) throw Interrupted();
            ++n_quantized_;
            write_file_atomic(variant.path, read_file(variant.input) + " as " + variant.quantization);
        };
        hooks_.launch = [this](const std::vector<std::string> & argv, std::chrono::milliseconds timeout) {
            timeout_ = timeout;
            return launch(argv);
        };
    }

    ProcessResult launch(const std::vector<std::string> & argv) {
        if (interrupt_after_ >= 0 && static_cast<int>(launched_.size()) >= interrupt_after_) throw Interrupted();
        launched_.push_back(argv);
        const bool offload = std::find(argv.begin(), argv.end(), "--cpu-moe") != argv.end();
        if (offload && offload_fails_) return {1, false, R"({"error": {"message": "no room", "exit_code": 1}})", ""};
        Json document = fabricated_document(offload ? "offload" : "baseline",
                                            {offload ? 1000U : 4000U, 10.0, offload ? 20.0 : 40.0});
        document["device"]["kind"] = device_kind_;
        const auto model = std::find(argv.begin(), argv.end(), "--model");
        if (model != argv.end()) {
            const fs::path path = *(model + 1);
            document["model"]["size_bytes"] = fs::file_size(path);
            document["model"]["quantization"] = path.string().find("Q2_K") != std::string::npos ? "Q2_K" : "F16";
        }
        if (while_it_runs_) while_it_runs_(document);
        return {0, false, document.dump(), ""};
    }

    Summary run() { return run_campaign(campaign_, options_, hooks_, local_executor(options_, hooks_)); }

    // Processes that another run starts.
    size_t launches_of_a_run() {
        launched_.clear();
        run();
        return launched_.size();
    }

    fs::path result_file(const char * name) const { return campaign_.out_dir / "results/m" / name; }

    TempDir dir_;
    Campaign campaign_;
    CampaignOptions options_;
    Hooks hooks_;
    InputInfo input_{"F16", false, 16, 4, 1024};
    uint64_t quantized_bytes_ = 1000;
    int n_quantized_ = 0;
    std::string cannot_make_;
    std::string interrupted_at_;
    std::chrono::milliseconds timeout_{};
    int interrupt_after_ = -1;
    bool offload_fails_ = false;
    std::string device_kind_ = "gpu";
    std::function<void(Json & document)> while_it_runs_;
    std::vector<std::vector<std::string>> launched_;
};

TEST_F(CampaignRun, MeasuresEveryCellOnceAndInTurn) {
    const Summary summary = run();
    EXPECT_TRUE(summary.complete());
    ASSERT_EQ(summary.rows.size(), 2U);
    EXPECT_EQ(summary.rows[1].quantization, "Q2_K");
    EXPECT_DOUBLE_EQ(summary.rows[1].slowdown(), 2.0);
    ASSERT_EQ(launched_.size(), 8U);
    for (size_t i = 0; i < launched_.size(); ++i) {
        EXPECT_EQ(launched_[i][0], "/bin/shimmy");
        const bool offload = std::find(launched_[i].begin(), launched_[i].end(), "--cpu-moe") != launched_[i].end();
        EXPECT_EQ(offload, i % 2 == 1) << i;
    }
    EXPECT_EQ(n_quantized_, 1);
    const Json result = Json::parse(read_file(result_file("Q2_K/offload/generate/b-1.json")));
    EXPECT_EQ(result["run"]["settings"]["model_sha256"], sha256_hex("the F16 model as Q2_K"));
    EXPECT_EQ(result["run"]["command_line"][1], "generate");
    EXPECT_EQ(result["run"]["campaign"], "demo");
    EXPECT_EQ(result["run"]["started_at"].get<std::string>().size(), std::string("2026-01-01T00:00:00Z").size());
    EXPECT_EQ(Json::parse(read_file(campaign_.out_dir / "summary.json"))["rows"].size(), 2U);
}

TEST_F(CampaignRun, AResultHoldsWhatWasAsked) {
    campaign_.timeout_s = 77;
    options_.backends = {"cuda", "on"};
    const Summary summary = run();
    EXPECT_EQ(timeout_, std::chrono::seconds(77));
    const Json result = Json::parse(read_file(result_file("F16/offload/generate/b-1.json")));
    EXPECT_EQ(result["run"]["command_line"].get<std::vector<std::string>>(), launched_[3]);
    EXPECT_GE(result["run"]["wall_ms"].get<double>(), 0.0);
    EXPECT_LT(result["run"]["wall_ms"].get<double>(), 60000.0);
    EXPECT_EQ(result["run"]["settings"]["gpu_backend"], "cuda");
    EXPECT_EQ(result["decode_tps"], 20.0);
    EXPECT_EQ(Json::parse(read_file(campaign_.out_dir / "summary.json")), to_json(summary));
    const CampaignPlan plan = read_plan(campaign_.out_dir);
    EXPECT_EQ(plan.command, options_.command);
    EXPECT_EQ(plan.backends.moe, "on");
    EXPECT_EQ(plan.sha256[1], sha256_hex("the F16 model as Q2_K"));
    EXPECT_FALSE(read_run_state(campaign_.out_dir)) << "nothing runs any more";
}

// --- a result belongs to the file that was loaded

TEST_F(CampaignRun, AFileThatChangesMeanwhileGivesNoResults) {
    int n_runs = 0;
    while_it_runs_ = [&](Json &) {
        if (++n_runs == 1) write_file_atomic(campaign_.models[0].path, "another model");
    };
    const Summary summary = run();
    EXPECT_FALSE(summary.complete());
    size_t n_refused = 0;
    for (const auto & entry : fs::recursive_directory_iterator(campaign_.out_dir / "results/m/F16")) {
        if (!entry.is_regular_file()) continue;
        const std::string message = Json::parse(read_file(entry.path()))["error"]["message"];
        EXPECT_NE(message.find("m.gguf is no longer the file"), std::string::npos) << message;
        ++n_refused;
    }
    EXPECT_EQ(n_refused, 4U);
    EXPECT_EQ(launched_.size(), 1U + 4U) << "the first run, and those of the file that did not change";
}

TEST_F(CampaignRun, AnotherFileThatWasLoadedIsNoticed) {
    while_it_runs_ = [](Json & document) {
        if (document["model"]["quantization"] == "Q2_K") document["model"]["size_bytes"] = 1;
        if (document["model"]["quantization"] == "F16") document["model"]["quantization"] = "Q8_0";
    };
    EXPECT_FALSE(run().complete());
    const auto error_in = [&](const char * name) {
        return Json::parse(read_file(result_file(name)))["error"]["message"].get<std::string>();
    };
    EXPECT_EQ(error_in("F16/baseline/generate/a-1.json"),
              "\"Q8_0\" was loaded in place of F16: the result is not used");
    EXPECT_EQ(error_in("Q2_K/baseline/generate/a-1.json"),
              fmt::format("a model of 1 bytes was loaded in place of {}: the result is not used",
                          std::string("the F16 model as Q2_K").size()));
}

TEST_F(CampaignRun, AFileThatWasMadeAndIsDamagedIsMadeAgain) {
    run();
    EXPECT_EQ(n_quantized_, 1);
    const fs::path made = campaign_.out_dir / "models/m-Q2_K.gguf";
    const std::string good = read_file(made);
    write_file_atomic(made, std::string(good.size(), '!'));
    EXPECT_EQ(launches_of_a_run(), 0U) << "its results are those of the file that is made again";
    EXPECT_EQ(n_quantized_, 2);
    EXPECT_EQ(read_file(made), good);
}

TEST_F(CampaignRun, AResultThatCannotBeReadIsSetAside) {
    run();
    const fs::path file = result_file("F16/baseline/generate/a-1.json");
    Json document = Json::parse(read_file(file));
    document["ttft_ms"] = -5;
    write_file_atomic(file, document.dump());
    EXPECT_EQ(launches_of_a_run(), 1U);
    fs::path aside = file;
    aside += ".bad";
    EXPECT_EQ(Json::parse(read_file(aside))["ttft_ms"], -5);
    EXPECT_EQ(Json::parse(read_file(file))["ttft_ms"], 10.0);
}

TEST_F(CampaignRun, AModelOfWhichNothingCanBeMadeDoesNotStopTheOthers) {
    hooks_.variant_bytes = [](const Campaign &, const Variant & variant) -> uint64_t {
        throw Error(variant.input.string() + ": is damaged");
    };
    cannot_make_ = "Q2_K";
    const Summary summary = run();
    EXPECT_FALSE(summary.complete());
    EXPECT_EQ(launched_.size(), 4U) << "those of F16";
}

TEST_F(CampaignRun, CtrlCWhileAFileIsMadeIsNoFailureOfIt) {
    interrupted_at_ = "Q2_K";
    EXPECT_THROW(run(), Interrupted);
    EXPECT_TRUE(launched_.empty());
    interrupted_at_.clear();
    EXPECT_TRUE(run().complete()) << "without --retry-failed";
}

TEST_F(CampaignRun, WhatAKillLeftHalfWrittenGoes) {
    run();
    const fs::path folder = result_file("F16/offload/generate");
    const fs::path part = folder / "a-1.json.99999999.part";  // of a process that is no more
    write_file_atomic(folder / "x", "half");
    fs::rename(folder / "x", part);
    run();
    EXPECT_FALSE(fs::exists(part));
    EXPECT_TRUE(fs::exists(folder / "a-1.json"));
}

// A result of another machine stays as long as nothing is to be measured beside it.
TEST_F(CampaignRun, AFinishedCampaignMayBeLookedAtElsewhere) {
    run();
    for (const char * type : {"F16", "Q2_K"}) {
        for (const char * placement : {"baseline", "offload"}) {
            for (const char * prompt : {"a", "b"}) {
                const fs::path file =
                    result_file(fmt::format("{}/{}/generate/{}-1.json", type, placement, prompt).c_str());
                Json result = Json::parse(read_file(file));
                result["host"]["cpu"] = "another CPU";
                write_file_atomic(file, result.dump());
            }
        }
    }
    EXPECT_TRUE(run().complete());
}

TEST_F(CampaignRun, FinishedRunsAreNotRepeated) {
    run();
    EXPECT_EQ(launches_of_a_run(), 0U);
    EXPECT_EQ(n_quantized_, 1);
}

TEST_F(CampaignRun, CorruptAndStaleResultsAreMadeAgain) {
    run();
    write_file_atomic(result_file("F16/baseline/generate/a-1.json"), "{\"run\": ");
    fs::remove(result_file("F16/offload/generate/b-1.json"));
    EXPECT_EQ(launches_of_a_run(), 2U);
    campaign_.prompts[0].text = "Another text";
    EXPECT_EQ(launches_of_a_run(), 4U);
    campaign_.repeats = 2;
    EXPECT_EQ(launches_of_a_run(), 8U);
    campaign_.seed = 1;
    EXPECT_EQ(launches_of_a_run(), 16U);
}

TEST_F(CampaignRun, ANewInputFileIsQuantizedAndMeasuredAgain) {
    run();
    write_file_atomic(campaign_.models[0].path, "a better F16 model");
    EXPECT_EQ(launches_of_a_run(), 8U);
    EXPECT_EQ(n_quantized_, 2);
}

TEST_F(CampaignRun, AQuantizedFileOfUnknownOriginIsNotTrusted) {
    fs::create_directories(campaign_.out_dir / "models");
    write_file_atomic(campaign_.out_dir / "models/m-Q2_K.gguf", "half a file");
    run();
    EXPECT_EQ(n_quantized_, 1);
    EXPECT_EQ(read_file(campaign_.out_dir / "models/m-Q2_K.gguf"), "the F16 model as Q2_K");
}

TEST_F(CampaignRun, AFailedRunStaysFailedUntilItIsToBeTriedAgain) {
    offload_fails_ = true;
    const Summary summary = run();
    EXPECT_EQ(launched_.size(), 8U);
    EXPECT_TRUE(summary.rows.empty());
    ASSERT_EQ(summary.missing.size(), 4U);
    EXPECT_EQ(summary.missing[0].reason, "no room");
    EXPECT_EQ(Json::parse(read_file(result_file("F16/offload/generate/a-1.json")))["error"]["message"], "no room");
    offload_fails_ = false;
    EXPECT_EQ(launches_of_a_run(), 0U);
    options_.retry_failed = true;
    EXPECT_EQ(launches_of_a_run(), 4U);
    EXPECT_TRUE(run().complete());
}

TEST_F(CampaignRun, AFileThatCannotBeMadeDoesNotStopTheOthers) {
    campaign_.models[0].quantizations = {"Q4_K_M", "Q2_K", "F16"};
    cannot_make_ = "Q4_K_M";
    const Summary summary = run();
    EXPECT_EQ(n_quantized_, 1);
    EXPECT_EQ(launched_.size(), 8U);
    EXPECT_EQ(summary.rows.size(), 2U);
    ASSERT_EQ(summary.missing.size(), 4U);
    EXPECT_EQ(summary.missing[0].reason, "no model file: no such type here");
    EXPECT_EQ(summary.variants[0].error, "no such type here");
    cannot_make_.clear();
    EXPECT_EQ(launches_of_a_run(), 0U) << "it stays failed";
    options_.retry_failed = true;
    EXPECT_EQ(launches_of_a_run(), 4U);
    // The made-up quantizer writes the type of its input into every file: that is noticed.
    const Summary whole = run();
    ASSERT_EQ(whole.missing.size(), 4U);
    EXPECT_EQ(whole.missing[0].reason, "\"F16\" was loaded in place of Q4_K_M: the result is not used");
}

TEST_F(CampaignRun, OnlyWhatIsChosenIsMade) {
    options_.only = "q2_k/*/b-1";
    EXPECT_EQ(launches_of_a_run(), 2U);
    options_.only = "F16";
    EXPECT_EQ(launches_of_a_run(), 4U);
    EXPECT_EQ(n_quantized_, 1);
    options_.only.clear();
    EXPECT_EQ(launches_of_a_run(), 2U);
    options_.only = "nothing like it";
    EXPECT_EQ(launches_of_a_run(), 0U);
}

TEST_F(CampaignRun, TwoProcessesDoNotRunOneCampaign) {
    fs::create_directories(campaign_.out_dir);
    {
        RunStateFile other(campaign_.out_dir);
        other.update("run", "something", 3, 10);
        try {
            run();
            ADD_FAILURE() << "ran beside another";
        } catch (const Error & error) {
            EXPECT_NE(std::string(error.what()).find("another process runs this campaign"), std::string::npos);
        }
        const std::optional<RunState> state = read_run_state(campaign_.out_dir);
        ASSERT_TRUE(state.has_value());
        EXPECT_EQ(state->n_done, 3U);
        EXPECT_EQ(state->current, "something");
        EXPECT_TRUE(state->left_s.has_value());
    }
    EXPECT_FALSE(read_run_state(campaign_.out_dir).has_value());
    EXPECT_TRUE(run().complete());
}

// What status, documents and a cluster's workers start from: the folder alone, without the model files.
TEST_F(CampaignRun, TheFolderAloneTellsEverything) {
    const Summary summary = run();
    fs::remove(campaign_.models[0].path);
    fs::remove_all(campaign_.out_dir / "models");
    EXPECT_EQ(to_json(summarize_campaign(read_plan(campaign_.out_dir))).dump(), to_json(summary).dump());
    EXPECT_THROW(read_plan(dir_.path() / "elsewhere"), Error);
    write_file_atomic(campaign_.out_dir / "campaign.json", "{\"text\": 3}");
    EXPECT_THROW(read_plan(campaign_.out_dir), Error);
}

TEST_F(CampaignRun, CtrlCKeepsWhatIsFinished) {
    interrupt_after_ = 3;
    EXPECT_THROW(run(), Interrupted);
    interrupt_after_ = -1;
    EXPECT_EQ(launches_of_a_run(), 5U);
}

TEST_F(CampaignRun, WithoutAGpuThereIsNothingToCompare) {
    device_kind_ = "cpu";
    EXPECT_THROW(run(), Error);
    EXPECT_EQ(launched_.size(), 1U);
    EXPECT_FALSE(fs::exists(result_file("F16/baseline/generate/a-1.json")));
}

// Looked at before anything is made, and only where there is something to run.
TEST_F(CampaignRun, WithoutAGpuNothingBegins) {
    int n_looked = 0;
    hooks_.check_device = [&](const Campaign & campaign) {
        ++n_looked;
        EXPECT_EQ(campaign.device, "gpu");
        if (device_kind_ == "cpu") throw Error("no GPU");
    };
    device_kind_ = "cpu";
    EXPECT_THROW(run(), Error);
    EXPECT_EQ(n_looked, 1);
    EXPECT_EQ(n_quantized_, 0);
    EXPECT_TRUE(launched_.empty());
    device_kind_ = "gpu";
    EXPECT_TRUE(run().complete());
    EXPECT_EQ(n_looked, 2);
    device_kind_ = "cpu";
    EXPECT_TRUE(run().complete()) << "all of it is there";
    EXPECT_EQ(n_looked, 2);
}

TEST_F(CampaignRun, AFullDiskIsNoticedBeforeAnyWork) {
    quantized_bytes_ = uint64_t{1} << 60;
    EXPECT_THROW(run(), Error);
    EXPECT_EQ(n_quantized_, 0);
    EXPECT_TRUE(launched_.empty());
}

TEST_F(CampaignRun, ResultsOfAnotherMachineAreNotMixedIn) {
    run();
    Json result = Json::parse(read_file(result_file("F16/baseline/generate/a-1.json")));
    result["host"]["cpu"] = "another CPU";
    write_file_atomic(result_file("F16/baseline/generate/a-1.json"), result.dump());
    fs::remove(result_file("F16/baseline/generate/b-1.json"));
    launched_.clear();
    EXPECT_THROW(run(), Error);
    EXPECT_TRUE(launched_.empty());
}

TEST_F(CampaignRun, PlanChangesNothing) {
    const CampaignPlan plan = plan_campaign(campaign_, options_, hooks_);
    EXPECT_EQ(variants_to_make(plan, options_).size(), 1U);
    EXPECT_EQ(runs_to_make(plan, options_).size(), 8U);
    EXPECT_FALSE(fs::exists(campaign_.out_dir));
    run();
    EXPECT_TRUE(runs_to_make(plan_campaign(campaign_, options_, hooks_), options_).empty());
}

}  // namespace
}  // namespace shimmy::lab
