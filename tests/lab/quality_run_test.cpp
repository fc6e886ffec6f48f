// When `lab run` measures quality, and what it then starts. The program is a stand-in that answers at once.
#include "lab/run/quality_run.h"

#include "base/error.h"
#include "fabricated_document.h"
#include "lab/plan/plan_file.h"
#include "lab/run/campaign_run.h"
#include "temp_dir.h"

#include <gtest/gtest.h>
#include <algorithm>

namespace shimmy::lab {
namespace {

class QualityRun : public ::testing::Test {
protected:
    QualityRun() {
        campaign_ = fabricated_campaign(dir_.path());
        campaign_.quality = {dir_ / "eval.txt", 4};
        write_file_atomic(dir_ / "eval.txt", "a text");
        write_file_atomic(campaign_.models[0].path, "the F16 model");
        options_.program = "/bin/shimmy";
        options_.quiet = true;
        hooks_.read_input = [](const CampaignModel &) { return InputInfo{"F16", false, 16, 4, 1024}; };
        hooks_.variant_bytes = [](const Campaign &, const Variant &) { return uint64_t{100}; };
        hooks_.make_variant = [](const Campaign &, const Variant & variant, const ByteProgress &) {
            write_file_atomic(variant.path, "as " + variant.quantization);
        };
        hooks_.launch = [this](const std::vector<std::string> & argv, std::chrono::milliseconds) {
            if (argv.at(1) != "quality") {
                const bool offload = std::find(argv.begin(), argv.end(), "--cpu-moe") != argv.end();
                return ProcessResult{
                    0, false, fabricated_document(offload ? "offload" : "baseline", {1000, 10.0, 20.0}).dump(), ""};
            }
            launched_.push_back(argv);
            if (fails_) return ProcessResult{1, false, "", "shimmy: no such text\n"};
            return ProcessResult{0, false, document(argv).dump(), ""};
        };
    }

    // What the program prints: the original's entry, and that of the file which `argv` ends with.
    Json document(const std::vector<std::string> & argv) const {
        Json document = {
            {"text", {{"file", "eval.txt"}, {"sha256", sha256_hex(read_file(dir_ / "eval.txt"))}}},
            {"base",
             {{"file", campaign_.models[0].path.string()},
              {"sha256", sha256_hex(read_file(campaign_.models[0].path))}}},
            {"llama_cpp_version", "0.5.0"},
            {"max_chunks", campaign_.quality.chunks},
            {"n_chunks", 4},
            {"models", Json::array({{{"quant", "F16"}, {"sha256", sha256_hex(read_file(campaign_.models[0].path))}}})}};
        std::string checked = "F16";
        for (const std::string quantization : {"Q4_K_M", "Q2_K"}) {
            if (!argv.back().ends_with(quantization + ".gguf")) continue;
            document["models"].push_back({{"quant", quantization}, {"sha256", sha256_hex("as " + quantization)}});
            checked = quantization;
        }
        if (has(argv, "--check-offload")) document["offload"] = Json::array({{{"quant", checked}}});
        return document;
    }

    static bool has(const std::vector<std::string> & argv, const std::string & word) {
        return std::find(argv.begin(), argv.end(), word) != argv.end();
    }

    // Of the model's document, the quantizations in a list.
    std::vector<std::string> listed(const char * list) const {
        const Json document = Json::parse(read_file(quality_path(campaign_, "m")));
        std::vector<std::string> names;
        for (const Json & entry : document.at(list))
            names.push_back(entry.at("quant"));
        return names;
    }

    // How often quality is measured by another `lab run`.
    size_t launches() {
        launched_.clear();
        run_campaign(campaign_, options_, hooks_, local_executor(options_, hooks_));
        return launched_.size();
    }

    TempDir dir_;
    Campaign campaign_;
    CampaignOptions options_;
    Hooks hooks_;
    bool fails_ = false;
    std::vector<std::vector<std::string>> launched_;
};

using Names = std::vector<std::string>;

TEST_F(QualityRun, EveryFileAgainstTheOriginalOnce) {
    EXPECT_EQ(launches(), 1U) << "the original's figures come with the other file's";
    EXPECT_TRUE(has(launched_[0], campaign_.models[0].path.string()));
    EXPECT_TRUE(has(launched_[0], (campaign_.out_dir / "models/m-Q2_K.gguf").string()));
    EXPECT_TRUE(has(launched_[0], (dir_ / "eval.txt").string()));
    EXPECT_EQ(std::count(launched_[0].begin(), launched_[0].end(), campaign_.models[0].path.string()), 1);
    EXPECT_EQ(listed("models"), (Names{"F16", "Q2_K"}));
    EXPECT_EQ(launches(), 0U) << "it is there";
}

TEST_F(QualityRun, OnlyFilesThatAreNewAreMeasured) {
    EXPECT_EQ(launches(), 1U);
    campaign_.models[0].quantizations = {"F16", "Q4_K_M", "Q2_K"};
    EXPECT_EQ(launches(), 1U);
    EXPECT_TRUE(launched_[0].back().ends_with("m-Q4_K_M.gguf")) << launched_[0].back();
    EXPECT_EQ(listed("models"), (Names{"F16", "Q2_K", "Q4_K_M"}));
}

TEST_F(QualityRun, FiguresAgainstAnotherOriginalAreNotMixed) {
    EXPECT_EQ(launches(), 1U);
    write_file_atomic(campaign_.models[0].path, "another F16 model");
    EXPECT_EQ(launches(), 1U);
    EXPECT_EQ(listed("models"), (Names{"F16"})) << "the other file's were against the one before";
    EXPECT_EQ(launches(), 1U);
    EXPECT_EQ(listed("models"), (Names{"F16", "Q2_K"}));
}

TEST_F(QualityRun, WhatChangedIsMeasuredAgain) {
    EXPECT_EQ(launches(), 1U);
    write_file_atomic(dir_ / "eval.txt", "another text");
    EXPECT_EQ(launches(), 1U);
    campaign_.quality.chunks = 5;
    EXPECT_EQ(launches(), 1U);
    write_file_atomic(quality_path(campaign_, "m"), "{\"models\": ");
    EXPECT_EQ(launches(), 1U);
    EXPECT_EQ(launches(), 0U);
}

TEST_F(QualityRun, OffloadIsCheckedOnTheCampaignsDevice) {
    EXPECT_EQ(launches(), 1U);
    campaign_.quality.check_offload = true;
    EXPECT_EQ(launches(), 2U) << "the document lacks the checks, of which a command makes one";
    EXPECT_EQ(listed("offload"), (Names{"Q2_K", "F16"}));
    EXPECT_EQ(listed("models"), (Names{"F16", "Q2_K"}));
    EXPECT_EQ(std::count(launched_[0].begin(), launched_[0].end(), "--check-offload"), 1);
    const auto device = std::find(launched_[0].begin(), launched_[0].end(), "--check-device");
    ASSERT_NE(device, launched_[0].end());
    EXPECT_EQ(device[1], campaign_.device);
    EXPECT_EQ(std::count(launched_[0].begin(), launched_[0].end(), "--device"), 0)
        << "a software device computes what the CPU does, in many times the time";
}

TEST_F(QualityRun, TheCommandSaysEverything) {
    options_.backends = {"cuda", "on"};
    campaign_.n_threads = 3;
    EXPECT_EQ(launches(), 1U);
    const Names command{"/bin/shimmy",
                        "quality",
                        "--base",
                        campaign_.models[0].path.string(),
                        "--text",
                        (dir_ / "eval.txt").string(),
                        "--chunks",
                        "4",
                        "--cpu-moe",
                        "--json",
                        "--gpu-backend",
                        "cuda",
                        "--moe-backend",
                        "on",
                        "--moe-cache",
                        "off",
                        "--threads",
                        "3",
                        (campaign_.out_dir / "models/m-Q2_K.gguf").string()};
    EXPECT_EQ(launched_[0], command);
    campaign_.device = "CUDA1";
    write_file_atomic(quality_path(campaign_, "m"), "{}");
    EXPECT_EQ(launches(), 1U);
    Names on_device = command;
    on_device.insert(on_device.end() - 1, {"--device", "CUDA1"});
    EXPECT_EQ(launched_[0], on_device);
}

// A document counts for the campaign that it was made for.
TEST_F(QualityRun, ADocumentOfOtherThingsIsMadeAgain) {
    EXPECT_EQ(launches(), 1U);
    const Json whole = Json::parse(read_file(quality_path(campaign_, "m")));
    for (const auto & [pointer, value] : std::vector<std::pair<std::string, Json>>{{"/text/sha256", "other"},
                                                                                   {"/text", 3},
                                                                                   {"/base", 3},
                                                                                   {"/base/file", "other"},
                                                                                   {"/max_chunks", 5},
                                                                                   {"/max_chunks", nullptr},
                                                                                   {"/llama_cpp_version", "0.4.9"},
                                                                                   {"/models/1/sha256", "other"},
                                                                                   {"/models/1/quant", "Q6_K"},
                                                                                   {"/models/0/sha256", "other"},
                                                                                   {"/models/1", 3}}) {
        if (pointer == "/max_chunks" && value.is_null()) continue;
        Json other = whole;
        other[Json::json_pointer(pointer)] = value;
        write_file_atomic(quality_path(campaign_, "m"), other.dump());
        EXPECT_EQ(launches(), 1U) << pointer;
        EXPECT_EQ(launches(), 0U) << pointer;
    }
}

TEST_F(QualityRun, SyntheticModelsHaveNone) {
    EXPECT_EQ(launches(), 1U);
    fs::remove(quality_path(campaign_, "m"));
    CampaignPlan plan = read_plan(campaign_.out_dir);
    plan.campaign.quality = campaign_.quality;
    EXPECT_EQ(qualities_to_measure(plan, "text"), (std::vector<size_t>{1, 0})) << "the original last";
    plan.sha256[1].clear();
    EXPECT_EQ(qualities_to_measure(plan, "text"), (std::vector<size_t>{0})) << "what is not there is not measured";
    plan.campaign.models[0].shape = "olmoe-1b-7b";
    EXPECT_TRUE(qualities_to_measure(plan, "text").empty());
}

TEST_F(QualityRun, AFailureLeavesNoDocumentAndStopsNothing) {
    fails_ = true;
    EXPECT_EQ(launches(), 2U) << "one that fails does not stop the other";
    EXPECT_FALSE(fs::exists(quality_path(campaign_, "m")));
    EXPECT_TRUE(fs::exists(campaign_.out_dir / "summary.json"));
    fails_ = false;
    EXPECT_EQ(launches(), 1U);
}

TEST_F(QualityRun, NotWithoutATextAndNotForSomeRuns) {
    options_.only = "F16";
    EXPECT_EQ(launches(), 0U);
    options_.only = "";
    campaign_.quality = {};
    EXPECT_EQ(launches(), 0U);
}

TEST_F(QualityRun, ATextThatIsMissingIsSaid) {
    fs::remove(dir_ / "eval.txt");
    EXPECT_THROW(launches(), Error);
    EXPECT_FALSE(fs::exists(campaign_.out_dir / "results")) << "before the first run, not after the last";
}

}  // namespace
}  // namespace shimmy::lab
