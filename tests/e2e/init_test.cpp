// shimmy init: files that can be used, and none that is lost.
#include "base/files.h"
#include "program.h"
#include "temp_dir.h"

namespace shimmy::e2e {
namespace {

TEST(Init, WritesWhatIsAskedForAndOverwritesNothing) {
    const TempDir dir;
    const std::string out = (dir.path() / "new/folder").string();
    EXPECT_EQ(shimmy_json({"init", "-t", "kubernetes", "-o", out})["files"].size(), 1U);
    EXPECT_EQ(shimmy_json({"init", "-t", "systemd", "-o", out})["files"].size(), 1U);
    EXPECT_EQ(shimmy_json({"init", "-t", "docker", "-o", out})["files"].size(), 3U);
    EXPECT_EQ(read_file(fs::path(out) / "shimmy.service"),
              read_file(fs::path(SHIMMY_SOURCE_DIR) / "deploy/shimmy.service"));
    write_file_atomic(fs::path(out) / "kubernetes.yaml", "mine");
    expect_failure({"init", "-t", "kubernetes", "-o", out}, 1, {"kubernetes.yaml", "exists already", "-o"});
    EXPECT_EQ(read_file(fs::path(out) / "kubernetes.yaml"), "mine");
    expect_failure({"init", "-t", "fly", "-o", out}, 2, {"fly", "docker"});
    expect_failure({"init"}, 2, {"--template"});
}

// What the templates ask of `shimmy serve` are options that it has.
TEST(Init, TheContainersStartScriptStartsTheServer) {
    const TempDir dir;
    (void)shimmy_json({"init", "-t", "docker", "-o", dir.path().string()});
    const std::string start = (dir.path() / "container-start.sh").string();
    const std::string path = "PATH=" + fs::path(SHIMMY_PROGRAM).parent_path().string() + ":$PATH ";
    const ProcessResult without_key = run_process({"bash", "-c", path + start + " --help"}, std::chrono::seconds(20));
    EXPECT_EQ(without_key.exit_code, 2);
    EXPECT_NE(without_key.err.find("SHIMMY_API_KEY"), std::string::npos);
    const ProcessResult help = run_process(
        {"bash", "-c", path + "SHIMMY_API_KEY=k " + start + " --model-dirs /models --cpu-moe --parallel 2 --help"},
        std::chrono::seconds(20));
    EXPECT_EQ(help.exit_code, 0) << help.err;
}

}  // namespace
}  // namespace shimmy::e2e
