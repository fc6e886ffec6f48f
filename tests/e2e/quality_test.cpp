// shimmy quality on the embedded model.
#include "base/files.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

const std::string EVAL = std::string(SHIMMY_SOURCE_DIR) + "/models/tiny-moe/eval.txt";

Json quality(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"quality", "--text", EVAL, "--chunks", "3", "--device", "cpu"});
    return shimmy_json(arguments);
}

TEST(Quality, FewerBitsAreFurtherFromTheBase) {
    const Json document = quality({"--base", tiny_moe("F16").string(), tiny_moe("Q8_0").string(),
                                   tiny_moe("Q4_K_M").string(), tiny_moe("Q2_K").string()});
    const Json & models = document["models"];
    ASSERT_EQ(models.size(), 4U);
    EXPECT_EQ(models[0]["quant"], "F16");
    EXPECT_EQ(models[0]["mean_kld"], 0.0) << "the base against itself";
    EXPECT_EQ(models[0]["same_top_percent"], 100.0);
    EXPECT_EQ(models[0]["sha256"], document["base"]["sha256"]);
    EXPECT_LT(models[0]["mean_kld"].get<double>(), models[1]["mean_kld"].get<double>());
    EXPECT_LT(models[1]["mean_kld"].get<double>(), models[2]["mean_kld"].get<double>());
    EXPECT_LT(models[2]["mean_kld"].get<double>(), models[3]["mean_kld"].get<double>());
    EXPECT_EQ(document["n_chunks"], 3);
}

TEST(Quality, ATextThatIsTooShortSaysSo) {
    const TempDir dir;
    write_file_atomic(dir / "short.txt", "Too short.");
    expect_failure(
        {"quality", "--base", tiny_moe("F16").string(), "--text", (dir / "short.txt").string(), "--device", "cpu"}, 1,
        {"fewer than one chunk of 512"});
}

}  // namespace
}  // namespace shimmy::e2e
