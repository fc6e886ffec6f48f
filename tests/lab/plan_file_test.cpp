// campaign.json, and the plan of a campaign whose file has changed since.
#include "lab/plan/plan_file.h"
#include "base/error.h"
#include "fabricated_document.h"
#include "lab/plan/campaign_plan.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

class PlanFile : public ::testing::Test {
protected:
    PlanFile() {
        plan_.campaign = parse();
        plan_.backends = {"vulkan", "on"};
        plan_.command = "shimmy lab run demo.toml";
        plan_.program_version = "shimmy 9 (llama.cpp 8)";
        plan_.campaign.device = "Vulkan1";
        plan_.inputs = {{"F16", false, 16, 4, 1024, "phimoe", {"de"}}, {"MXFP4", true, 8, 2, 512, "gpt-oss", {}}};
        plan_.variants = plan_variants(plan_.campaign, plan_.inputs);
        plan_.sha256 = {"f16", "q2k", "b"};
        plan_.errors = {"", "", "no space"};
        plan_.runs = plan_runs(plan_.campaign, plan_.variants);
        look_up_results(plan_);
        fs::create_directories(plan_.campaign.out_dir);
        write_plan(plan_);
    }

    Campaign parse() const { return parse_campaign(text_, dir_ / "demo.toml"); }
    void replace(const std::string & from, const std::string & to) { text_.replace(text_.find(from), from.size(), to); }
    CampaignPlan now(int * n_read = nullptr) const {
        return read_plan_for(parse(), [&](const CampaignModel & model) {
            if (n_read != nullptr) ++*n_read;
            if (model.name == "gone") fail("{}: no such file", model.path.string());
            return InputInfo{"Q8_0", true, 4, 4, 1024, "new"};
        });
    }
    void write_result(const CampaignPlan & plan, size_t run) const {
        Json document = fabricated_document(engine::to_string(plan.runs[run].placement), {1000, 10.0, 20.0});
        document["run"] = {{"settings", plan.settings_of(run)}};
        fs::create_directories(plan.result_path_of(run).parent_path());
        write_file_atomic(plan.result_path_of(run), document.dump());
    }
    static size_t n_valid(const CampaignPlan & plan) {
        return static_cast<size_t>(std::count_if(plan.results.begin(), plan.results.end(),
                                                 [](const StoredResult & r) { return r.state == ResultState::valid; }));
    }

    TempDir dir_;
    std::string text_ = R"(
name = "demo"
out_dir = "out"
n_ctx = 512
repeats = 1
[[models]]
path = "a.gguf"
quantizations = ["F16", "Q2_K"]
license = "mit"
[[models]]
path = "b.gguf"
quantizations = ["input"]
[[prompts]]
id = "p"
text = "P"
)";
    CampaignPlan plan_;
};

TEST_F(PlanFile, IsReadAsItWasWritten) {
    write_result(plan_, 1);
    const CampaignPlan plan = read_plan(plan_.campaign.out_dir);
    EXPECT_EQ(plan.campaign.name, "demo");
    EXPECT_EQ(plan.campaign.device, "Vulkan1");
    EXPECT_EQ(plan.campaign.file, dir_ / "demo.toml");
    EXPECT_EQ(plan.campaign.out_dir, plan_.campaign.out_dir);
    EXPECT_EQ(plan.backends.gpu, "vulkan");
    EXPECT_EQ(plan.backends.moe, "on");
    EXPECT_EQ(plan.command, plan_.command);
    EXPECT_EQ(plan.program_version, plan_.program_version);
    ASSERT_EQ(plan.inputs.size(), 2U);
    EXPECT_EQ(plan.inputs[0].arch, "phimoe");
    EXPECT_EQ(plan.inputs[0].languages, std::vector<std::string>{"de"});
    EXPECT_EQ(plan.inputs[0].n_layer, 4);
    EXPECT_EQ(plan.inputs[0].n_expert, 16);
    EXPECT_EQ(plan.inputs[0].n_ctx_train, 1024);
    EXPECT_FALSE(plan.inputs[0].already_quantized);
    EXPECT_TRUE(plan.inputs[1].already_quantized);
    EXPECT_EQ(plan.inputs[1].quantization, "MXFP4");
    ASSERT_EQ(plan.variants.size(), 3U);
    EXPECT_EQ(plan.variants[1].quantization, "Q2_K");
    EXPECT_EQ(plan.variants[1].path, plan_.campaign.out_dir / "models/a-Q2_K.gguf");
    EXPECT_EQ(plan.variants[1].input, dir_ / "a.gguf");
    EXPECT_EQ(plan.variants[2].model, "b");
    EXPECT_EQ(plan.variants[2].campaign_model, 1U);
    EXPECT_EQ(plan.sha256, plan_.sha256);
    EXPECT_EQ(plan.errors, plan_.errors);
    EXPECT_EQ(plan.runs.size(), 6U);
    EXPECT_EQ(n_valid(plan), 1U);
    EXPECT_EQ(plan.results[1].state, ResultState::valid);
}

TEST_F(PlanFile, WhatIsMissingOrDamagedIsSaid) {
    const fs::path file = plan_.campaign.out_dir / "campaign.json";
    const Json whole = Json::parse(read_file(file));
    for (const auto & [key, value] : whole.items()) {
        if (key == "campaign") continue;                     // for people
        if (key == "moe_cache" || key == "tasks") continue;  // plans of 0.1 have none
        Json damaged = whole;
        damaged.erase(key);
        write_file_atomic(file, damaged.dump());
        EXPECT_THROW(read_plan(plan_.campaign.out_dir), Error) << key;
    }
    write_file_atomic(file, "{");
    try {
        read_plan(plan_.campaign.out_dir);
        ADD_FAILURE() << "read half a file";
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("finished runs are kept"), std::string::npos) << error.what();
    }
}

TEST_F(PlanFile, MoreRepeatsAreToBeDone) {
    for (size_t i = 0; i < 4; ++i)
        write_result(plan_, i);
    replace("repeats = 1", "repeats = 3");
    int n_read = 0;
    const CampaignPlan plan = now(&n_read);
    EXPECT_EQ(n_read, 0) << "the models are known";
    EXPECT_EQ(plan.runs.size(), 18U);
    EXPECT_EQ(n_valid(plan), 4U);
    EXPECT_EQ(plan.sha256, plan_.sha256);
    EXPECT_EQ(plan.errors, plan_.errors);
    EXPECT_EQ(plan.campaign.device, "Vulkan1") << "lab run --device";
    EXPECT_EQ(plan.program_version, plan_.program_version);
    EXPECT_EQ(plan.backends.moe, "on");
    EXPECT_EQ(plan.command, plan_.command);
}

TEST_F(PlanFile, OtherQuantizationsAndModels) {
    replace(R"(["F16", "Q2_K"])", R"(["Q4_K_M", "Q2_K"])");
    replace("b.gguf", "c.gguf");
    int n_read = 0;
    const CampaignPlan plan = now(&n_read);
    EXPECT_EQ(n_read, 1);
    ASSERT_EQ(plan.variants.size(), 3U);
    EXPECT_EQ(plan.variants[0].quantization, "Q4_K_M");
    EXPECT_EQ(plan.sha256, (std::vector<std::string>{"", "q2k", ""}));
    EXPECT_EQ(plan.errors, (std::vector<std::string>{"", "", ""}));
    EXPECT_EQ(plan.inputs[0].arch, "phimoe");
    EXPECT_EQ(plan.inputs[1].arch, "new");
    replace("c.gguf", "gone.gguf");
    EXPECT_THROW(now(), Error);
}

// Another file under the name of one that was measured is not that one.
TEST_F(PlanFile, AnotherFileOfTheSameName) {
    replace("path = \"a.gguf\"", "path = \"other/a.gguf\"");
    replace(R"(["F16", "Q2_K"])", R"(["input"])");
    const CampaignPlan plan = now();
    EXPECT_EQ(plan.sha256, (std::vector<std::string>{"", "b"}));
    EXPECT_EQ(plan.variants[0].quantization, "Q8_0");
}

TEST_F(PlanFile, WhatOnlyDocumentsSayIsTakenFromTheFileAsItIs) {
    replace(
        "license = \"mit\"",
        "license = \"other\"\nlicense_name = \"own\"\nlicense_link = \"https://x\"\nbase_model = \"u/m\"\nabout = \"x\"\nlanguages = [\"fr\"]");
    replace("repeats = 1", "repeats = 5\ncreator = \"Ada\"\nrepo_owner = \"ada\"\nlayout = \"per-model\"\nseed = 7");
    CampaignPlan plan = read_plan(plan_.campaign.out_dir);
    take_document_keys(plan, parse());
    EXPECT_EQ(plan.campaign.models[0].license, "other");
    EXPECT_EQ(plan.campaign.models[0].license_name, "own");
    EXPECT_EQ(plan.campaign.models[0].license_link, "https://x");
    EXPECT_EQ(plan.campaign.models[0].base_model, "u/m");
    EXPECT_EQ(plan.campaign.models[0].about, "x");
    EXPECT_EQ(plan.campaign.models[0].languages, std::vector<std::string>{"fr"});
    EXPECT_EQ(plan.campaign.models[1].license, "");
    EXPECT_EQ(plan.campaign.creator, "Ada");
    EXPECT_EQ(plan.campaign.repo_owner, "ada");
    EXPECT_EQ(plan.campaign.layout, CardLayout::per_model);
    EXPECT_EQ(plan.campaign.repeats, 1) << "what decides runs stays";
    EXPECT_EQ(plan.campaign.seed, 42U);
    // Of another model under the same name, nothing.
    replace("path = \"a.gguf\"", "path = \"other/a.gguf\"");
    CampaignPlan again = read_plan(plan_.campaign.out_dir);
    take_document_keys(again, parse());
    EXPECT_EQ(again.campaign.models[0].license, "mit");
}

TEST_F(PlanFile, PatternsOfRuns) {
    const auto chosen = [&](const std::string & pattern) {
        CampaignOptions options;
        options.only = pattern;
        return runs_to_make(plan_, options).size();
    };
    look_up_results(plan_);
    EXPECT_EQ(chosen(""), 6U);
    EXPECT_EQ(chosen("a/f16"), 2U);
    EXPECT_EQ(chosen("a/*/offload/*/p-1"), 2U);
    EXPECT_EQ(chosen("p-[2-9]"), 0U);
    EXPECT_TRUE(matches(plan_, 4, "b/MXFP4/baseline/generate/p-1"));
    EXPECT_FALSE(matches(plan_, 4, "p-1.json"));
    plan_.results[4] = {ResultState::failed, "full", {}};
    plan_.results[5].state = ResultState::valid;
    EXPECT_EQ(chosen(""), 4U) << "what failed stays failed";
    CampaignOptions retry;
    retry.retry_failed = true;
    EXPECT_EQ(runs_to_make(plan_, retry).size(), 5U);
}

TEST_F(PlanFile, StatesOfRuns) {
    plan_.sha256 = {"f16", "", ""};
    plan_.errors = {"", "", "no space"};
    look_up_results(plan_);
    for (size_t i = 0; i < plan_.runs.size(); ++i) {
        const StoredResult & result = plan_.results[i];
        const size_t variant = plan_.runs[i].variant;
        EXPECT_EQ(result.state, variant == 2 ? ResultState::failed : ResultState::absent);
        EXPECT_EQ(result.reason, variant == 2 ? "no model file: no space" : "not run yet");
    }
    const CampaignOptions options;
    EXPECT_EQ(variants_to_make(plan_, options), std::vector<size_t>{1});
    CampaignOptions retry;
    retry.retry_failed = true;
    EXPECT_EQ(variants_to_make(plan_, retry), (std::vector<size_t>{1, 2}));
    retry.only = "Q2_K";
    EXPECT_EQ(variants_to_make(plan_, retry), std::vector<size_t>{1});
}

}  // namespace
}  // namespace shimmy::lab
