// shimmy bench, as a user runs it.
#include "engine/rewritten_model.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

TEST(BenchCommand, PrintsATableLikeLlamaBench) {
    const ProcessResult result = shimmy({"bench", tiny_moe().string(), "-p", "16,1", "-n", "1", "-d", "0,32", "-r", "2",
                                         "--gpu-backend", "cpu", "--threads", "1", "--ubatch", "64"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 2 + 6);
    EXPECT_EQ(result.out.rfind("| model        | size     | params | backend", 0), 0U) << result.out;
    size_t at = 0;
    for (const char * part :
         {"n_ubatch", "pp16 |", "pp1 |", "tg1 |", "pp16 @ d32 |", "pp1 @ d32 |", "tg1 @ d32 |", " ± "}) {
        at = result.out.find(part, at);
        EXPECT_NE(at, std::string::npos) << part << " in " << result.out;
    }
}

TEST(BenchCommand, Document) {
    const Json document =
        shimmy_json({"bench", tiny_moe().string(), "-p", "16", "-n", "0", "--prompt-and-gen", "8,4", "-r", "3",
                     "--parallel", "2", "--threads", "1", "--gpu-backend", "cpu", "--moe-backend", "off"});
    EXPECT_EQ(document["n_threads"], 1);
    EXPECT_EQ(document["n_parallel"], 2);
    EXPECT_EQ(document["moe_backend"], false);
    EXPECT_EQ(document["placement"], "baseline");
    EXPECT_TRUE(document["text"].is_null());
    ASSERT_EQ(document["tests"].size(), 2U);
    const Json & test = document["tests"][1];
    EXPECT_EQ(test["test"], "pp8+tg4");
    EXPECT_EQ(test["samples_tps"].size(), 3U);
    double mean = 0.0;
    for (size_t i = 0; i < 3; ++i) {
        const double ms = test["prompt_ms"][i].get<double>() + test["gen_ms"][i].get<double>();
        EXPECT_NEAR(test["samples_tps"][i].get<double>(), 2 * 12 * 1000.0 / ms, 1e-6);
        mean += test["samples_tps"][i].get<double>() / 3.0;
    }
    EXPECT_NEAR(test["mean_tps"].get<double>(), mean, 1e-6);
}

TEST(BenchCommand, WrongInput) {
    const TempDir dir;
    const std::string embedding =
        engine::RewrittenModel(tiny_moe()).set("deepseek.pooling_type", 1U).write(dir / "embedding.gguf");
    expect_failure({"bench", embedding, "--device", "cpu"}, 1,
                   {"embedding.gguf: is an embedding model", "shimmy serve --embeddings"});
    expect_failure({"bench", "none.gguf"}, 1, {"none.gguf"});
    expect_failure({"bench", tiny_moe().string(), "-p", "0", "-n", "0"}, 2, {"nothing to measure"});
    expect_failure({"bench", tiny_moe().string(), "-d", "4096"}, 2, {"pp512 @ d4096", "4608", "trained for 512"});
    expect_failure({"bench", tiny_moe().string(), "--prompt-and-gen", "8"}, 2, {"two numbers"});
    expect_failure({"bench", tiny_moe().string(), "--", "--spec-type", "ngram-mod"}, 2, {"--spec-type", "generate"});
}

}  // namespace
}  // namespace shimmy::e2e
