#include "lab/plan/plan.h"

#include "base/error.h"
#include "joined.h"
#include "lab/plan/result.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::lab {
namespace {

using engine::Placement;

Campaign make_campaign() {
    Campaign campaign;
    campaign.name = "demo";
    campaign.out_dir = "/out";
    campaign.models = {{"tiny", "/models/tiny.gguf", {"F16", "Q2_K"}}};
    campaign.placements = {Placement::baseline(), Placement::offload()};
    campaign.prompts = {{"a", "Text a"}, {"b", "-b starts like an option"}};
    campaign.repeats = 2;
    return campaign;
}

InputInfo f16_input() {
    return {"F16", false, 16, 4, 1024};
}

std::string error_of(const Campaign & campaign, const InputInfo & info) {
    try {
        plan_variants(campaign, {info});
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

TEST(Plan, VariantsAreTheInputItselfOrFilesToMake) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    const std::vector<Variant> variants = plan_variants(campaign, {f16_input()});
    ASSERT_EQ(variants.size(), 2U);
    EXPECT_TRUE(variants[0].is_input());
    EXPECT_EQ(variants[0].quantization, "F16");
    EXPECT_FALSE(variants[1].is_input());
    EXPECT_EQ(variants[1].path, "/out/models/tiny-Q2_K.gguf");
    EXPECT_EQ(variants[1].input, "/models/tiny.gguf");
}

TEST(Plan, InputAsItIsTakesItsOwnTypeAndIsNotMeasuredTwice) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    campaign.models[0].quantizations = {"input", "MXFP4_MOE"};
    InputInfo info = f16_input();
    info.quantization = "MXFP4_MOE";
    info.already_quantized = true;
    const std::vector<Variant> variants = plan_variants(campaign, {info});
    ASSERT_EQ(variants.size(), 1U);
    EXPECT_EQ(variants[0].quantization, "MXFP4_MOE");
    EXPECT_TRUE(variants[0].is_input());
}

TEST(Plan, RefusesWhatCannotBeMeasured) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    EXPECT_EQ(error_of(campaign, f16_input()), "");

    InputInfo dense = f16_input();
    dense.n_expert = 0;
    EXPECT_NE(error_of(campaign, dense).find("no experts"), std::string::npos);

    InputInfo quantized = f16_input();
    quantized.quantization = "MXFP4_MOE";
    quantized.already_quantized = true;
    EXPECT_NE(error_of(campaign, quantized).find("already quantized (MXFP4_MOE)"), std::string::npos);

    campaign.placements.push_back(Placement::partial(5));
    EXPECT_NE(error_of(campaign, f16_input()).find("n_cpu_moe=5"), std::string::npos);
    campaign.placements.back() = Placement::partial(4);
    EXPECT_EQ(error_of(campaign, f16_input()), "");

    campaign.n_ctx = 2048;
    EXPECT_NE(error_of(campaign, f16_input()).find("beyond the model's 1024"), std::string::npos);
}

TEST(Plan, RepeatsAreTheOuterLoopAndPlacementsAlternate) {
    const Campaign campaign = make_campaign();
    const std::vector<lab::Run> runs = plan_runs(campaign, 2);
    ASSERT_EQ(runs.size(), 2U * 2U * 2U * 2U);
    for (size_t i = 0; i < runs.size(); ++i) {
        EXPECT_EQ(runs[i].placement, campaign.placements[i % 2]) << i;
        EXPECT_EQ(runs[i].prompt, i / 2 % 2) << i;
        EXPECT_EQ(runs[i].variant, i / 4 % 2) << i;
        EXPECT_EQ(runs[i].repeat, static_cast<int>(i / 8) + 1) << i;
    }
}

TEST(Plan, ResultPathNamesTheWholeCell) {
    const Campaign campaign = make_campaign();
    const Variant variant{"tiny", "Q2_K", "/out/models/tiny-Q2_K.gguf", "/models/tiny.gguf"};
    EXPECT_EQ(result_path(campaign, variant, {0, Placement::partial(3), 1, 2}),
              "/out/results/tiny/Q2_K/n_cpu_moe=3/generate/b-2.json");
    EXPECT_EQ(describe(campaign, variant, {0, Placement::offload(), 0, 1}), "tiny Q2_K offload, prompt a, repeat 1");
    const lab::Run stream{0, Placement::offload(), 0, 1, Mode::no_stream, 0};
    EXPECT_EQ(result_path(campaign, variant, stream), "/out/results/tiny/Q2_K/offload/no-stream/a-1.json");
    EXPECT_EQ(describe(campaign, variant, stream), "tiny Q2_K offload no-stream, prompt a, repeat 1");
    const lab::Run load{0, Placement::baseline(), 0, 2, Mode::load, 16};
    EXPECT_EQ(result_path(campaign, variant, load), "/out/results/tiny/Q2_K/baseline/load/16-2.json");
    EXPECT_EQ(describe(campaign, variant, load), "tiny Q2_K baseline load, 16 client(s), repeat 2");
}

TEST(Plan, ModesArePairedAndLoadRunsComeLast) {
    Campaign campaign = make_campaign();
    campaign.modes = {Mode::stream, Mode::no_stream};
    campaign.load.clients = {1, 8};
    const std::vector<lab::Run> runs = plan_runs(campaign, 1);
    ASSERT_EQ(runs.size(), 2U * 2U * 2U * 2U + 2U * 2U);
    EXPECT_EQ(runs[0].mode, Mode::stream);
    EXPECT_EQ(runs[2].mode, Mode::no_stream);
    EXPECT_EQ(runs[2].prompt, runs[0].prompt);
    EXPECT_EQ(runs[16].mode, Mode::load);
    EXPECT_EQ(runs[16].n_clients, 1);
    EXPECT_EQ(runs[18].n_clients, 8);
}

// Only what a trace can be of: the first repeat, in one process, with experts in RAM.
TEST(Plan, TracesOfTheFirstRepeat) {
    Campaign campaign = make_campaign();
    const Variant variant{"tiny", "Q2_K", "/m.gguf", "/f16.gguf"};
    const lab::Run first{0, Placement::offload(), 0, 1};
    EXPECT_EQ(trace_path(campaign, variant, first), "") << "not asked for";
    const auto arguments = [&](const lab::Run & run) { return run_arguments(campaign, variant, run, {}); };
    const auto has = [](const std::vector<std::string> & words, const std::string & word) {
        return std::find(words.begin(), words.end(), word) != words.end();
    };
    EXPECT_FALSE(has(arguments(first), "--expert-trace"));
    EXPECT_FALSE(run_settings(campaign, variant, first, "abc", "shimmy", {}).contains("expert_trace"));
    campaign.expert_trace = true;
    EXPECT_EQ(trace_path(campaign, variant, first), "/out/results/tiny/Q2_K/offload/generate/a-1.trace.csv");
    EXPECT_TRUE(has(arguments(first), "--expert-trace"));
    EXPECT_TRUE(has(arguments(first), "/out/results/tiny/Q2_K/offload/generate/a-1.trace.csv"));
    EXPECT_TRUE(run_settings(campaign, variant, first, "abc", "shimmy", {})["expert_trace"].get<bool>());
    for (const lab::Run & run : {lab::Run{0, Placement::offload(), 0, 2}, lab::Run{0, Placement::baseline(), 0, 1},
                                 lab::Run{0, Placement::offload(), 0, 1, Mode::stream}})
        EXPECT_EQ(trace_path(campaign, variant, run), "") << describe(campaign, variant, run);
}

TEST(Plan, AShapeIsAModelOfEveryTypeThatIsToBeMade) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    campaign.models[0].path.clear();
    campaign.models[0].shape = "gpt-oss-20b";
    InputInfo info = f16_input();
    info.quantization = "MXFP4_MOE";
    const std::vector<Variant> variants = plan_variants(campaign, {info});
    ASSERT_EQ(variants.size(), 2U);
    EXPECT_FALSE(variants[0].is_input());
    EXPECT_EQ(variants[0].path, "/out/models/tiny-F16.gguf");
    EXPECT_EQ(variants[0].input, "");
}

TEST(Plan, BoundsOfContextAndLayers) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 1024;
    EXPECT_EQ(error_of(campaign, f16_input()), "") << "the model's own";
    campaign.n_ctx = 1025;
    EXPECT_EQ(error_of(campaign, f16_input()), "/models/tiny.gguf: n_ctx 1025 is beyond the model's 1024");
    InputInfo unknown = f16_input();
    unknown.n_ctx_train = 0;
    EXPECT_EQ(error_of(campaign, unknown), "") << "the file does not say";
}

TEST(Plan, TwoModelsMayHaveTheSameTypes) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    campaign.models[0].quantizations = {"F16", "input", "Q2_K", "Q2_K"};
    campaign.models.push_back({"other", "/models/other.gguf", {"F16"}});
    const std::vector<Variant> variants = plan_variants(campaign, {f16_input(), f16_input()});
    ASSERT_EQ(variants.size(), 3U) << "the input is F16, and Q2_K is one file";
    EXPECT_EQ(variants[1].campaign_model, 0U);
    EXPECT_EQ(variants[2].model, "other");
    EXPECT_EQ(variants[2].campaign_model, 1U);
    EXPECT_EQ(variants[2].path, "/models/other.gguf");
}

TEST(Plan, AShapeAsItIsHasItsOwnType) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    campaign.models[0] = {"s", "", {"input"}};
    campaign.models[0].shape = "gpt-oss-20b";
    InputInfo info = f16_input();
    info.quantization = "MXFP4_MOE";
    info.already_quantized = true;
    const std::vector<Variant> variants = plan_variants(campaign, {info});
    ASSERT_EQ(variants.size(), 1U);
    EXPECT_EQ(variants[0].quantization, "MXFP4_MOE");
    EXPECT_EQ(variants[0].path, "/out/models/s-MXFP4_MOE.gguf");
    EXPECT_FALSE(variants[0].is_input());
}

TEST(Plan, ArgumentsThroughAServer) {
    const Campaign campaign = make_campaign();
    const Variant variant{"tiny", "F16", "/models/tiny.gguf", "/models/tiny.gguf"};
    using Arguments = std::vector<std::string>;
    EXPECT_EQ(run_arguments(campaign, variant, {0, Placement::offload(), 0, 1, Mode::stream, 0}, {}),
              (Arguments{"lab", "http", "--model", "/models/tiny.gguf", "--prompt=Text a", "--max-tokens", "100",
                         "--seed", "42", "--temperature", "0", "--ctx", "4096", "--device", "gpu", "--moe-cache", "off",
                         "--cpu-moe", "--json"}));
    EXPECT_EQ(run_arguments(campaign, variant, {0, Placement::baseline(), 0, 1, Mode::no_stream, 0}, {"auto", "off"}),
              (Arguments{"lab",
                         "http",
                         "--model",
                         "/models/tiny.gguf",
                         "--prompt=Text a",
                         "--no-stream",
                         "--max-tokens",
                         "100",
                         "--seed",
                         "42",
                         "--temperature",
                         "0",
                         "--ctx",
                         "4096",
                         "--device",
                         "gpu",
                         "--moe-backend",
                         "off",
                         "--placement",
                         "gpu",
                         "--json"}));
}

TEST(Plan, LoadRunsOfEveryRepeatAndNumberOfClients) {
    Campaign campaign = make_campaign();
    campaign.repeats = 1;
    campaign.prompts.resize(1);
    campaign.load = {{1, 8}, 30, 2};
    const std::vector<lab::Run> runs = plan_runs(campaign, 2);
    ASSERT_EQ(runs.size(), 2U * 2U + 2U * 2U * 2U * 2U);
    for (size_t i = 0; i < 16; ++i) {
        const lab::Run & run = runs[4 + i];
        EXPECT_EQ(run.mode, Mode::load);
        EXPECT_EQ(run.placement, campaign.placements[i % 2]) << i;
        EXPECT_EQ(run.n_clients, i / 2 % 2 == 0 ? 1 : 8) << i;
        EXPECT_EQ(run.variant, i / 4 % 2) << i;
        EXPECT_EQ(run.repeat, static_cast<int>(i / 8) + 1) << i;
    }
}

TEST(Plan, AnotherArchitectureThanExpectedIsRefused) {
    Campaign campaign = make_campaign();
    campaign.n_ctx = 512;
    campaign.models[0].expected_architecture = "phimoe";
    InputInfo info = f16_input();
    info.arch = "deepseek";
    EXPECT_NE(error_of(campaign, info).find("architecture is deepseek, the campaign expects phimoe"),
              std::string::npos);
    info.arch = "phimoe";
    EXPECT_EQ(error_of(campaign, info), "");
}

TEST(Plan, ArgumentsOfARun) {
    Campaign campaign = make_campaign();
    const Variant variant{"tiny", "F16", "/models/tiny.gguf", "/models/tiny.gguf"};
    EXPECT_EQ(
        joined(run_arguments(campaign, variant, {0, Placement::baseline(), 1, 1}, {})),
        "generate | --cold-run | --no-profile | --model | /models/tiny.gguf | --prompt=-b starts like an option | "
        "--max-tokens | 100 | --seed | 42 | --temperature | 0 | --ctx | 4096 | --top-p | 0.9 | --top-k | 40 | "
        "--min-p | 0.05 | --repeat-penalty | 1 | --device | gpu | --placement | gpu | --json")
        << "what the model's file recommends for sampling does not decide";
    campaign.n_threads = 2;
    campaign.device = "Vulkan0";
    campaign.temperature = 0.7;
    EXPECT_EQ(
        joined(run_arguments(campaign, variant, {0, Placement::partial(3), 0, 1}, {"vulkan", "on"})),
        "generate | --cold-run | --no-profile | --model | /models/tiny.gguf | --prompt=Text a | --max-tokens | "
        "100 | --seed | 42 | --temperature | 0.7 | --ctx | 4096 | --top-p | 0.9 | --top-k | 40 | --min-p | 0.05 | "
        "--repeat-penalty | 1 | --threads | 2 | --device | Vulkan0 | --gpu-backend | vulkan | --moe-backend | on "
        "| --n-cpu-moe | 3 | --json");
    const auto offload = run_arguments(campaign, variant, {0, Placement::offload(), 0, 1}, {});
    EXPECT_EQ((std::vector<std::string>(offload.end() - 4, offload.end())),
              (std::vector<std::string>{"--moe-cache", "off", "--cpu-moe", "--json"}));
    const auto cached = run_arguments(campaign, variant, {0, Placement::partial(3), 0, 1}, {"auto", "auto", "4096"});
    EXPECT_EQ((std::vector<std::string>(cached.end() - 5, cached.end())),
              (std::vector<std::string>{"--moe-cache", "4096", "--n-cpu-moe", "3", "--json"}));
    const auto baseline = run_arguments(campaign, variant, {0, Placement::baseline(), 0, 1}, {});
    EXPECT_EQ((std::vector<std::string>(baseline.end() - 3, baseline.end())),
              (std::vector<std::string>{"--placement", "gpu", "--json"}))
        << "not what fits best";
    const auto load = run_arguments(campaign, variant, {0, Placement::baseline(), 0, 1, Mode::load, 4}, {});
    EXPECT_EQ((std::vector<std::string>(load.begin(), load.begin() + 10)),
              (std::vector<std::string>{"lab", "http", "--model", "/models/tiny.gguf", "--prompt=Text a",
                                        "--prompt=-b starts like an option", "--clients", "4", "--duration", "30"}));
}

}  // namespace
}  // namespace shimmy::lab
