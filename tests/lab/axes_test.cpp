// Axes of a campaign: what a file may say, which runs come of it, and what is refused before anything runs.
#include "lab/campaign/axes.h"

#include "base/error.h"
#include "joined.h"
#include "lab/campaign/campaign.h"
#include "lab/plan/plan.h"
#include "lab/plan/result.h"

#include <gtest/gtest.h>

#include <set>

namespace shimmy::lab {
namespace {

using engine::Placement;

constexpr const char * MODEL = "[[models]]\npath = \"tiny.gguf\"\nquantizations = [\"F16\"]\n";

Campaign parse_axes(const std::string & axes, const std::string & more = "") {
    return parse_campaign("name = \"demo\"\n" + more + MODEL + "[axes]\n" + axes, "/c/demo.toml");
}

std::string axes_error(const std::string & axes, const std::string & more = "") {
    try {
        parse_axes(axes, more);
    } catch (const UsageError & error) {
        return error.what();
    }
    return "";
}

void expect_refused(const std::string & axes, const std::string & reason, const std::string & more = "") {
    const std::string message = axes_error(axes, more);
    EXPECT_TRUE(message.starts_with("/c/demo.toml:")) << message;
    EXPECT_NE(message.find(reason), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

std::vector<std::string> point_names(const Campaign & campaign) {
    std::vector<std::string> list;
    for (const Point & point : design_points(campaign.axes))
        list.push_back(file_name(campaign.axes, point));
    return list;
}

TEST(AxesOf, EveryCombinationOfAFullDesign) {
    const Campaign campaign = parse_axes("ubatch = [256, 512]\nthreads = [2, 4, 8]\nbatch = 512\n");
    EXPECT_EQ(point_names(campaign),
              (std::vector<std::string>{"ubatch=256,threads=2", "ubatch=256,threads=4", "ubatch=256,threads=8",
                                        "ubatch=512,threads=2", "ubatch=512,threads=4", "ubatch=512,threads=8"}));
    EXPECT_EQ(words(campaign.axes, design_points(campaign.axes).back()), "ubatch 512, threads 8");
    EXPECT_EQ(axes_json(design_points(campaign.axes).front()), (Json{{"batch", 512}, {"ubatch", 256}, {"threads", 2}}));
}

TEST(AxesOf, PairsGoTogether) {
    const Campaign campaign =
        parse_axes("design = \"paired\"\nn_ctx = [1024, 2048]\nubatch = [256, 512]\nthreads = [4]\n");
    EXPECT_EQ(point_names(campaign),
              (std::vector<std::string>{"n_ctx=1024,ubatch=256,threads=4", "n_ctx=2048,ubatch=512,threads=4"}));
}

TEST(AxesOf, OneAtATimeAroundTheFirstValues) {
    const Campaign campaign = parse_axes("design = \"one-at-a-time\"\nubatch = [256, 512]\nthreads = [2, 4, 8]\n");
    EXPECT_EQ(point_names(campaign), (std::vector<std::string>{"ubatch=256,threads=2", "ubatch=512,threads=2",
                                                               "ubatch=256,threads=4", "ubatch=256,threads=8"}));
}

TEST(AxesOf, ASingleValueIsASettingAndNamesNoFile) {
    const Campaign campaign = parse_axes("threads = 3\nn_ctx = 1024\nload_mode = \"none\"\n");
    EXPECT_EQ(campaign.n_threads, 3);
    EXPECT_EQ(campaign.n_ctx, 1024);
    ASSERT_EQ(campaign.axes.list.size(), 1U);
    EXPECT_EQ(point_names(campaign), std::vector<std::string>{""});
    const std::vector<lab::Run> runs = plan_runs(campaign, 1);
    EXPECT_EQ(runs.size(), 2U * campaign.prompts.size());
    EXPECT_EQ(result_path(campaign, {"m", "F16", "", ""}, runs[0]),
              "/c/demo/results/m/F16/baseline/generate/fibonacci-1.json");
}

TEST(AxesOf, AListOfOneNamesFilesSoThatMoreCanBeAdded) {
    const Campaign one = parse_axes("threads = [4]\n");
    const Campaign two = parse_axes("threads = [4, 8]\n");
    const Variant variant{"m", "F16", "", ""};
    EXPECT_EQ(result_path(one, variant, plan_runs(one, 1)[0]),
              "/c/demo/results/m/F16/baseline/generate/threads=4/fibonacci-1.json");
    EXPECT_EQ(result_path(two, variant, plan_runs(two, 1)[0]), result_path(one, variant, plan_runs(one, 1)[0]));
    EXPECT_EQ(run_settings(one, variant, plan_runs(one, 1)[0], "abc", "shimmy", {}),
              run_settings(two, variant, plan_runs(two, 1)[0], "abc", "shimmy", {}));
}

TEST(AxesOf, ARunHasTheOptionsOfItsPoint) {
    const Campaign campaign = parse_axes(
        "threads = [2, 4]\nn_ctx = [512]\ndepth = [128]\ncache_type = [\"q8_0\"]\nmoe_backend = [\"on\"]\n"
        "moe_cache = [\"1GiB\"]\nmax_tokens = [8]\n");
    const Variant variant{"m", "F16", "/m.gguf", "/m.gguf"};
    const std::vector<lab::Run> runs = plan_runs(campaign, 1);
    const lab::Run & offload = runs[1];
    ASSERT_EQ(offload.placement, Placement::offload());
    EXPECT_EQ(
        joined(run_arguments(campaign, variant, offload, {})),
        "generate | --cold-run | --no-profile | --model | /m.gguf | --prompt=" + campaign.prompts[0].text +
            " | --max-tokens | 8 | --seed | 42 | --temperature | 0 | --ctx | 512 | --top-p | 0.9 | --top-k | 40 | "
            "--min-p | 0.05 | --repeat-penalty | 1 | --threads | 2 | --device | gpu | --moe-backend | on | "
            "--moe-cache | 1GiB | --depth | 128 | --cache-type-k | q8_0 | --cache-type-v | q8_0 | --cpu-moe | "
            "--json");
    const Json settings = run_settings(campaign, variant, offload, "abc", "shimmy", {});
    EXPECT_EQ(settings["threads"], 2);
    EXPECT_EQ(settings["n_ctx"], 512);
    EXPECT_EQ(settings["moe_cache"], "1GiB");
    EXPECT_EQ(settings["axes"], (Json{{"n_ctx", 512},
                                      {"depth", 128},
                                      {"max_tokens", 8},
                                      {"threads", 2},
                                      {"cache_type", "q8_0"},
                                      {"moe_backend", "on"},
                                      {"moe_cache", "1GiB"}}));
    EXPECT_EQ(
        describe(campaign, variant, offload),
        "m F16 offload, n_ctx 512, depth 128, max_tokens 8, threads 2, cache_type q8_0, moe_backend on, moe_cache "
        "1GiB, prompt fibonacci, repeat 1");
}

// A cache of experts says nothing about a baseline, a depth nothing about a server, --parallel nothing about generate.
TEST(AxesOf, WhatDoesNotApplyIsNotMeasuredTwice) {
    const Campaign campaign =
        parse_axes("depth = [0, 64]\nmoe_cache = [\"off\", \"1GiB\", \"2GiB\"]\nparallel = [1, 2]\n",
                   "modes = [\"generate\", \"stream\"]\nload = {clients = [4], duration_s = 5}\n");
    const std::vector<lab::Run> runs = plan_runs(campaign, 1);
    std::map<std::pair<Mode, bool>, size_t> counts;
    std::set<fs::path> files;
    for (const lab::Run & run : runs) {
        ++counts[{run.mode, run.placement.offloads()}];
        files.insert(result_path(campaign, {"m", "F16", "", ""}, run));
    }
    const size_t n_prompts = campaign.prompts.size();
    EXPECT_EQ((counts[{Mode::generate, false}]), 2 * n_prompts);
    EXPECT_EQ((counts[{Mode::generate, true}]), 6 * n_prompts);
    EXPECT_EQ((counts[{Mode::stream, false}]), 2 * n_prompts);
    EXPECT_EQ((counts[{Mode::stream, true}]), 6 * n_prompts);
    EXPECT_EQ((counts[{Mode::load, false}]), 2U);
    EXPECT_EQ((counts[{Mode::load, true}]), 6U);
    EXPECT_EQ(files.size(), runs.size()) << "each run has a file of its own";
}

TEST(AxesOf, SpeculationIsForWhateverWritesAnswers) {
    const Campaign campaign = parse_axes("spec_type = [\"ngram-mod\"]\n", "modes = [\"generate\", \"stream\"]\n");
    const std::vector<lab::Run> runs = plan_runs(campaign, 1);
    EXPECT_EQ(runs.size(), 2U * 2U * campaign.prompts.size());
    for (const lab::Run & run : runs) {
        const auto arguments = run_arguments(campaign, {"m", "F16", "", ""}, run, {});
        const auto flag = std::find(arguments.begin(), arguments.end(), "--spec");
        ASSERT_LT(flag, arguments.end() - 1);
        EXPECT_EQ(flag[1], "ngram-mod");
    }
}

TEST(AxesOf, PointsAreMeasuredBackToBackAndPlacementsAlternate) {
    const Campaign campaign = parse_axes("threads = [2, 4]\n", "repeats = 2\n");
    const std::vector<lab::Run> runs = plan_runs(campaign, 1);
    EXPECT_EQ(*value_of(runs[0].point, "threads"), "2");
    EXPECT_EQ(*value_of(runs[1].point, "threads"), "2");
    EXPECT_EQ(*value_of(runs[2].point, "threads"), "4");
    EXPECT_EQ(runs[3].prompt, 0U);
    EXPECT_EQ(runs[4].prompt, 1U);
    EXPECT_EQ(runs[0].placement, Placement::baseline());
    EXPECT_EQ(runs[1].placement, Placement::offload());
}

TEST(AxesOf, WithoutThemNothingChanges) {
    const Campaign campaign = parse_campaign(std::string("name = \"demo\"\n") + MODEL, "/c/demo.toml");
    const lab::Run run = plan_runs(campaign, 1)[0];
    EXPECT_TRUE(run.point.empty());
    EXPECT_FALSE(run_settings(campaign, {"m", "F16", "", ""}, run, "abc", "shimmy", {}).contains("axes"));
}

TEST(AxesOf, UnknownValuesAreToldInALine) {
    expect_refused("treads = [1]\n", "unknown key 'treads' in the axes table");
    expect_refused("threads = [4, 4]\n", "'threads' lists 4 twice");
    expect_refused("threads = []\n", "'threads' is an empty list");
    expect_refused("threads = [\"4\"]\n", "'threads' must be a whole number");
    expect_refused("threads = [-1]\n", "'threads' is -1, must be 0 to 1024");
    expect_refused("flash_attn = [\"yes\"]\n", "'flash_attn' is \"yes\", must be one of on, off, auto");
    expect_refused("cache_type_k = [\"q9\"]\n", "'cache_type_k' is \"q9\", must be one of f32, f16,");
    expect_refused("moe_cache = [\"8\"]\n", "must be off, auto or a size such as 4GiB");
    expect_refused("moe_cache = [\"big\"]\n", "must be off, auto or a size such as 4GiB");
    expect_refused("spec_type = [\"a/b\"]\n", "becomes a folder's name", "modes = [\"stream\"]\n");
    expect_refused("design = \"latin\"\nthreads = [1]\n", "must be \"full\", \"paired\" or \"one-at-a-time\"");
    expect_refused("", "[axes] names none");
    expect_refused("max_tokens = [1, 8]\n", "'max_tokens' is 1, must be 2 to");
}

TEST(AxesOf, WhatCannotGoTogetherIsToldBeforeAnyRun) {
    expect_refused("design = \"paired\"\nthreads = [1, 2]\nubatch = [64, 128, 256]\n",
                   "'ubatch' has 3 values, 'threads' has 2");
    expect_refused("threads = [1, 2]\n", "'threads' stands in [axes] and above", "threads = 4\n");
    expect_refused("threads = [1]\n", "'n_ctx' is a list here: lists stand under [axes]", "n_ctx = [512, 1024]\n");
    expect_refused("threads = [1]\n", "'ubatch' stands under [axes]", "ubatch = 512\n");
    expect_refused("cache_type = [\"f16\"]\ncache_type_v = [\"f16\"]\n", "leave it or 'cache_type_v' out");
    expect_refused("ubatch = [512, 4096]\n", "ubatch 4096 is more than batch 2048, the default");
    expect_refused("batch = [256]\nubatch = [512]\n", "ubatch 512 is more than batch 256");
    expect_refused("batch = [8192]\n", "batch 8192 is more than n_ctx 4096");
    expect_refused("cache_type = [\"f16\", \"q8_0\"]\nflash_attn = [\"on\", \"off\"]\n",
                   "cache_type q8_0 needs flash attention, and flash_attn is off");
    expect_refused("moe_backend = [\"on\", \"off\"]\nmoe_cache = [\"off\", \"1GiB\"]\n",
                   "moe_cache 1GiB needs libggml-moe, and moe_backend is off");
    expect_refused("depth = [0, 4096]\n", "depth 4096, prompt_tokens 0 and max_tokens 100 do not fit into n_ctx 4096");
    expect_refused("parallel = [1, 2]\n", "'parallel' changes nothing here");
    expect_refused("depth = [64]\n", "'depth' changes nothing here: it belongs to mode generate",
                   "modes = [\"stream\"]\n");
}

TEST(AxesOf, MoreCombinationsThanAnybodyMeasuresAreRefused) {
    std::string list = "[0";
    for (int i = 1; i < 40; ++i)
        list += fmt::format(", {}", i);
    const std::string two = "depth = " + list + "]\nthreads = " + list + "]\n";
    expect_refused(two, "the design has more than 1000 combinations");
    EXPECT_EQ(axes_error("design = \"one-at-a-time\"\n" + two), "");
    EXPECT_EQ(axes_error("design = \"paired\"\n" + two), "");
    EXPECT_EQ(axes_error("depth = " + list +
                         "]\nthreads = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, "
                         "20, 21, 22, 23, 24, 25]\n"),
              "")
        << "1000";
}

TEST(AxesOf, WhatJustFitsIsTaken) {
    EXPECT_EQ(axes_error("depth = [3996]\n"), "");
    EXPECT_NE(axes_error("depth = [3997]\n"), "");
    EXPECT_EQ(axes_error("depth = [3000]\nprompt_tokens = [996]\n"), "");
    EXPECT_NE(axes_error("depth = [3000]\nprompt_tokens = [997]\n"), "");
    EXPECT_EQ(axes_error("ubatch = [2048]\n"), "");
    EXPECT_EQ(axes_error("batch = [4096]\nubatch = [4096]\n"), "");
    EXPECT_EQ(axes_error("cache_type_k = [\"q8_0\"]\nflash_attn = [\"off\"]\n"), "")
        << "only values need flash attention";
    // Only in pairs that are measured: q8_0 goes with on.
    EXPECT_EQ(axes_error("design = \"paired\"\ncache_type = [\"f16\", \"q8_0\"]\nflash_attn = [\"off\", \"on\"]\n"),
              "");
}

TEST(AxesOf, TheExampleHasTheRunsThatItSays) {
    const Campaign campaign = read_campaign(fs::path(SHIMMY_SOURCE_DIR) / "examples/sweep.toml");
    // 1 + 3 + 1 + 1 combinations, 2 placements, 5 repeats.
    EXPECT_EQ(plan_runs(campaign, 1).size(), 60U);
    EXPECT_NE(campaign.text.find("(60 runs;"), std::string::npos);
}

TEST(AxesOf, TheLargestContextMustBeTheModelsOwn) {
    const Campaign campaign = parse_axes("n_ctx = [512, 2048]\n");
    const auto plan = [&](int n_ctx_train) { plan_variants(campaign, {{"F16", false, 16, 4, n_ctx_train}}); };
    EXPECT_NO_THROW(plan(2048));
    EXPECT_THROW(plan(2047), Error);
}

}  // namespace
}  // namespace shimmy::lab
