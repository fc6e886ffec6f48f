// shimmy check on the embedded model.
#include "damage.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::e2e {
namespace {

TEST(Check, TheModelAndItsQ8PassEveryTask) {
    const Json document = shimmy_json({"check", tiny_moe().string(), tiny_moe("Q8_0").string(), "--device", "cpu"});
    EXPECT_EQ(document["passed"], true);
    ASSERT_EQ(document["models"].size(), 2U);
    for (const Json & model : document["models"]) {
        EXPECT_EQ(model["n_checks"], 5);
        for (const Json & check : model["checks"])
            EXPECT_EQ(check["defects"], Json::array()) << model["quant"] << " " << check.dump(1);
    }
    EXPECT_EQ(document["models"][1]["quant"], "Q8_0");
}

TEST(Check, ARuinedFileFailsAndSaysWhy) {
    const TempDir dir;
    const fs::path ruined = damaged_tiny_moe(dir.path(), "ffn_.*_exps", 0.3);
    const ProcessResult result = shimmy({"check", ruined.string(), "--device", "cpu", "--json"});
    EXPECT_EQ(result.exit_code, 1);
    const Json document = Json::parse(result.out);
    EXPECT_EQ(document["passed"], false);
    EXPECT_LT(document["models"][0]["n_passed"], document["models"][0]["n_checks"]);
    for (const Json & check : document["models"][0]["checks"])
        EXPECT_EQ(check["passed"].get<bool>(), check["defects"].empty());
}

TEST(Check, TasksOfAUsersOwnFile) {
    const TempDir dir;
    write_file_atomic(
        dir / "tasks.toml",
        "[[tasks]]\nid = \"impossible\"\nkind = \"arithmetic\"\n"
        "prompt = \"A train travels 60 miles per hour for 2.5 hours. How far does it go?\"\nresult = 151\n");
    const ProcessResult result =
        shimmy({"check", tiny_moe().string(), "--tasks", (dir / "tasks.toml").string(), "--device", "cpu"});
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_NE(result.out.find("FAIL  impossible (arithmetic)"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("ends on 150, where 151 is right"), std::string::npos) << result.out;
}

TEST(Check, WrongUseSaysSo) {
    expect_failure({"check", "no-such.gguf"}, 1, {"no-such.gguf", "no such file"});
    expect_failure({"check", tiny_moe().string(), "--tasks", "no-such.toml"}, 1, {"no-such.toml"});
}

}  // namespace
}  // namespace shimmy::e2e
