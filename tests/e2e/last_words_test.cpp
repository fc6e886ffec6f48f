// Runs that cannot end well: one line, --json that is JSON, and nothing left behind.
#include "base/files.h"
#include "program.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shimmy::e2e {
namespace {

Json error_document(const ProcessResult & result) {
    const Json document = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(document.is_object() && document.contains("error")) << result.out << result.err;
    return document.is_object() ? document.value("error", Json::object()) : Json::object();
}

TEST(Utf8, NamesThatAreNotGiveJsonAllTheSame) {
    const TempDir dir;
    const fs::path model = dir / "n\xff.gguf";
    fs::copy_file(tiny_moe(), model);
    const Json error = error_document(shimmy({"inspect", (dir / "gone\xff").string(), "--json"}));
    EXPECT_NE(error["message"].get<std::string>().find("gone\xEF\xBF\xBD"), std::string::npos) << error.dump();
    EXPECT_EQ(shimmy_json({"inspect", model.string()})["n_expert"], 16);
    const Json run = shimmy_json({"generate", model.string(), "--raw", "-p", "a\xff", "-n", "1", "--device", "cpu"});
    EXPECT_EQ(run["n_output_tokens"], 1);
    const Json list = shimmy_json({"list", "--model-dirs", dir.path().string()});
    EXPECT_NE(list.dump().find("n\xEF\xBF\xBD"), std::string::npos);
}

TEST(Escapes, OfNamesDoNotReachTheTerminal) {
    const TempDir dir;
    fs::copy_file(tiny_moe(), dir / "a\x1b[2J\nb.gguf");
    const ProcessResult list = shimmy({"list", "--model-dirs", dir.path().string()});
    EXPECT_EQ(list.exit_code, 0);
    EXPECT_EQ(list.out.find('\x1b'), std::string::npos);
    EXPECT_NE(list.out.find("a?[2j?b"), std::string::npos) << list.out;
    expect_failure({"inspect", (dir / "gone\x1b[2J").string()}, 1, {"gone?[2J: no such file"});
}

TEST(LastWords, AFaultWhileAFileIsMadeLeavesNone) {
    const TempDir dir;
    for (const char * signal : {"SEGV", "ABRT"}) {
        const ProcessResult result =
            run_process({"timeout", "--preserve-status", "-s", signal, "0.5", SHIMMY_PROGRAM, "synth", "--shape",
                         "deepseek-moe-16b", "--layers", "2", "--out", (dir / "m.gguf").string(), "--json"},
                        RUN_TIMEOUT);
        if (result.exit_code == 0) GTEST_SKIP() << "made in half a second";
        EXPECT_EQ(result.exit_code, 1) << signal << result.err;
        EXPECT_EQ(error_document(result)["exit_code"], 1);
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
        EXPECT_TRUE(fs::is_empty(dir.path()));
    }
}

TEST(LastWords, AModelThatIsCutWhileItRunsIsNamed) {
    const TempDir dir;
    const fs::path model = dir / "m.gguf";
    fs::copy_file(tiny_moe(), model);
    fs::permissions(model, fs::perms::owner_write, fs::perm_options::add);
    const std::string script =
        "\"$0\" generate \"$1\" --raw -p 'Once upon a time' -n 100000 --ctx 512 --device cpu --moe-backend off >\"$2\" & "
        "until [ -s \"$2\" ]; do sleep 0.01; done; truncate -s 65536 \"$1\"; wait $!; exit $?";
    const ProcessResult result =
        run_process({"sh", "-c", script, SHIMMY_PROGRAM, model.string(), (dir / "text").string()}, RUN_TIMEOUT);
    if (result.exit_code == 0) GTEST_SKIP() << "it ended before";
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_NE(result.err.find("shimmy: " + model.string() + ": "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("became shorter"), std::string::npos) << result.err;
}

TEST(LastWords, CtrlCWhileAModelIsReadIsObeyed) {
    const ProcessResult result = run_process({"timeout", "--preserve-status", "-s", "INT", "0.3", SHIMMY_PROGRAM,
                                              "generate", synthetic("phi-3.5-moe", 1, "F16").string(), "--raw", "-p",
                                              "x", "-n", "100000", "--device", "cpu", "--ctx", "128", "--json"},
                                             RUN_TIMEOUT);
    EXPECT_EQ(result.exit_code, 130) << result.err;
}

}  // namespace
}  // namespace shimmy::e2e
