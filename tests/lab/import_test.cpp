// What llama-bench writes, and what only looks like it. e2e and slow tests run llama-bench itself where it was built.
#include "lab/import/llama_bench.h"
#include "lab/import/llama_bench_export.h"

#include "axes_campaign.h"
#include "base/error.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

const std::string JSON_TEST = R"({
    "build_commit": "1f2e3d4", "build_number": 5678, "cpu_info": "Test CPU", "gpu_info": "Test GPU", "backends": "CUDA",
    "model_filename": "/models/a-Q4_K_M.gguf", "model_type": "deepseek 16B Q4_K - Medium", "model_size": 10000,
    "n_batch": 2048, "n_ubatch": 256, "n_threads": 8, "type_k": "f16", "type_v": "q8_0", "n_gpu_layers": -1,
    "n_cpu_moe": 12, "n_prompt": 512, "n_gen": 0, "n_depth": 4096, "test_time": "2026-11-01T10:00:00Z",
    "avg_ts": 200.0, "stddev_ts": 10.0, "samples_ts": [190.0, 200.0, 210.0] })";

std::string bench_error(const std::string & text) {
    try {
        parse_llama_bench(text, "bench");
    } catch (const UsageError & error) {
        return error.what();
    }
    return "";
}

TEST(LlamaBench, Json) {
    const std::vector<ImportedTest> tests = parse_llama_bench("[\n  " + JSON_TEST + "\n]\n", "bench.json");
    ASSERT_EQ(tests.size(), 1U);
    const ImportedTest & test = tests[0];
    EXPECT_EQ(test.model_file, "a-Q4_K_M.gguf");
    EXPECT_EQ(test.build, "1f2e3d4 (5678)");
    EXPECT_EQ(test.name(), "pp512 @ d4096");
    EXPECT_EQ(test.placement(), "n_cpu_moe=12, all layers on the GPU");
    EXPECT_EQ(test.n_ubatch, 256);
    EXPECT_EQ(test.cache_type_v, "q8_0");
    EXPECT_EQ(test.tps, (std::vector<double>{190.0, 200.0, 210.0}));
    EXPECT_EQ(test.mean_tps, 200.0);
}

TEST(LlamaBench, JsonLines) {
    std::string line = JSON_TEST;
    std::erase(line, '\n');
    EXPECT_EQ(parse_llama_bench(line + "\n" + line + "\n", "bench.jsonl").size(), 2U);
    EXPECT_NE(bench_error(line + "\n{\"model_filename\": \n").find("bench:2: is no JSON"), std::string::npos);
}

TEST(LlamaBench, Csv) {
    const std::string csv =
        "build_commit,build_number,model_filename,n_gpu_layers,n_prompt,n_gen,avg_ts,stddev_ts\n"
        "\"1f2e3d4\",\"5678\",\"/m/a \"\"b\"\", c.gguf\",\"99\",\"0\",\"128\",\"31.25\",\"0.5\"\n";
    const std::vector<ImportedTest> tests = parse_llama_bench(csv, "bench.csv");
    ASSERT_EQ(tests.size(), 1U);
    EXPECT_EQ(tests[0].model_file, "a \"b\", c.gguf");
    EXPECT_EQ(tests[0].name(), "tg128");
    EXPECT_EQ(tests[0].placement(), "99 layers on the GPU");
    EXPECT_EQ(tests[0].mean_tps, 31.25);
    EXPECT_EQ(tests[0].stddev_tps, 0.5);
    EXPECT_TRUE(tests[0].tps.empty()) << "CSV has no samples";
    EXPECT_EQ(parse_llama_bench("model_filename,n_prompt,n_gen,avg_ts\r\na.gguf,8,4,2.5", "b")[0].name(), "pp8+tg4");
}

TEST(LlamaBench, WhatItDoesNotWriteIsTold) {
    EXPECT_EQ(bench_error(""), "bench: is empty");
    EXPECT_EQ(bench_error("[]"), "bench: holds no test");
    EXPECT_NE(bench_error("[\n  {\"n_prompt\": 512").find("is no whole JSON: was llama-bench ended early?"),
              std::string::npos);
    EXPECT_NE(bench_error("[{\"n_prompt\": 512}]").find("bench: test 1: lacks 'model_filename'"), std::string::npos);
    EXPECT_NE(bench_error("[3]").find("bench: test 1: is no object"), std::string::npos);
    EXPECT_NE(bench_error("| model | t/s |\n").find("bench:1: names no 'avg_ts'"), std::string::npos);
    EXPECT_NE(bench_error("model_filename,n_prompt,n_gen,avg_ts\na,1,2\n")
                  .find("bench:2: has 3 fields, the first line names 4"),
              std::string::npos);
    EXPECT_NE(bench_error("model_filename,n_prompt,n_gen,avg_ts\na,1,2,fast\n").find("bench:2: 'avg_ts' is \"fast\""),
              std::string::npos);
    EXPECT_NE(bench_error("model_filename,n_prompt,n_gen,avg_ts\n\"a,1,2,3\n").find("a quoted field has no end"),
              std::string::npos);
    EXPECT_NE(bench_error("model_filename,n_prompt,n_gen,avg_ts\n\"a\"b,1,2,3\n").find("goes on behind its quotes"),
              std::string::npos);
    EXPECT_NE(bench_error("model_filename,n_prompt,n_gen,avg_ts\na,1,2,-7\n").find("'avg_ts' is \"-7\""),
              std::string::npos);
}

TEST(LlamaBench, WhatIsStoredIsReadAgain) {
    const TempDir dir;
    write_file_atomic(dir / "bench.json", "[" + JSON_TEST + "]");
    EXPECT_TRUE(read_imported(dir.path()).empty());
    const ImportedFile imported = read_llama_bench(dir / "bench.json");
    EXPECT_EQ(store_imported(imported, dir.path()), dir / "imported/bench.json.json");
    store_imported(imported, dir.path());
    const std::vector<ImportedFile> again = read_imported(dir.path());
    ASSERT_EQ(again.size(), 1U) << "the same file once";
    EXPECT_EQ(to_json(again[0]), to_json(imported));
    write_file_atomic(dir / "imported/bench.json.json", "{}");
    EXPECT_THROW(read_imported(dir.path()), Error);
}

// What a campaign exports is what the importer reads.
TEST(LlamaBench, ExportedFiguresComeBack) {
    const TempDir dir;
    CampaignPlan plan = axes_plan(dir.path());
    plan.program_version = "shimmy 0.1.0 (llama.cpp 0.5.0)";
    const Json exported = llama_bench_tests(plan);
    ASSERT_EQ(exported.size(), 2U * 2U * 4U) << "prefill and decode, two placements, four points";
    for (const std::string & text : {exported.dump(), llama_bench_csv(exported)}) {
        const std::vector<ImportedTest> tests = parse_llama_bench(text, "own");
        ASSERT_EQ(tests.size(), 16U);
        EXPECT_EQ(tests[0].name(), "pp12");
        EXPECT_EQ(tests[1].name(), "tg49 @ d12") << "50 tokens are 49 steps, behind the prompt";
        EXPECT_EQ(tests[0].n_cpu_moe, 0) << "the baseline";
        EXPECT_EQ(tests[8].n_cpu_moe, 4) << "all layers of the model";
        EXPECT_EQ(tests[0].n_ubatch, 256);
        EXPECT_NEAR(tests[0].mean_tps, 110.0, 1e-9) << "100, 110 and 120";
        EXPECT_NEAR(tests[0].stddev_tps, 10.0, 1e-9);
        EXPECT_NEAR(tests[1].mean_tps, 55.0, 1e-9);
    }
    EXPECT_EQ(exported[0]["samples_ns"], (Json{120000000, 109090909, 100000000}))
        << "12 tokens at 100, 110, 120 tokens/s";
    for (StoredResult & result : plan.results)
        result.state = ResultState::failed;
    EXPECT_THROW(llama_bench_tests(plan), Error);
}

}  // namespace
}  // namespace shimmy::lab
