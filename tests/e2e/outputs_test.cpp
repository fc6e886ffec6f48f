// Whatever a command writes, it writes whole or not at all: on a full disk, on one that cannot be written, and when it
// is killed. What stood under the name before stays until then.
#include "base/files.h"
#include "gguf/gguf_file.h"
#include "program.h"
#include "small_disk.h"
#include "temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>

namespace shimmy::e2e {
namespace {

struct Command {
    const char * name;
    const char * output;
    std::function<std::vector<std::string>(const fs::path & dir, const fs::path & inputs)> arguments;
};

const std::vector<Command> & commands() {
    static const std::vector<Command> all{
        {"quantize", "tiny-moe-Q8_0.gguf",
         [](const fs::path & dir, const fs::path &) -> std::vector<std::string> {
             return {"quantize", tiny_moe().string(), "--types", "Q8_0", "--out-dir", dir.string()};
         }},
        {"imatrix", "i.gguf",
         [](const fs::path & dir, const fs::path &) -> std::vector<std::string> {
             return {"imatrix", "--model", tiny_moe().string(),       "--text",   EVAL, "--chunks", "8", "--ctx",
                     "128",     "--out",   (dir / "i.gguf").string(), "--device", "cpu"};
         }},
        {"synth", "s.gguf",
         [](const fs::path & dir, const fs::path & inputs) -> std::vector<std::string> {
             return {"synth", "--shape", (inputs / "shape.toml").string(), "--out", (dir / "s.gguf").string()};
         }},
        {"expert statistics", "stats.json",
         [](const fs::path & dir, const fs::path &) -> std::vector<std::string> {
             return {"generate",
                     tiny_moe().string(),
                     "--raw",
                     "-p",
                     "x",
                     "-n",
                     "1",
                     "--device",
                     "cpu",
                     "--moe-backend",
                     "on",
                     "--expert-stats",
                     (dir / "stats.json").string()};
         }},
        {"a chart", "c.svg",
         [](const fs::path & dir, const fs::path & inputs) -> std::vector<std::string> {
             return {"plan",   "--trace", (inputs / "t.csv").string(), "--bandwidth",
                     "60GB/s", "--chart", (dir / "c.svg").string()};
         }},
        {"a campaign's file", "c.toml",
         [](const fs::path & dir, const fs::path &) -> std::vector<std::string> {
             return {"lab", "init", (dir / "c.toml").string(), "--force", "--model", tiny_moe().string()};
         }},
    };
    return all;
}

// A shape, and which experts a text used.
void write_inputs(const fs::path & dir) {
    std::ofstream(dir / "shape.toml") << fmt::format(R"(
name = "Small"
arch = "qwen3moe"
quantization = "F16"
vocab = "{}"
[metadata.qwen3moe]
vocab_size = 2048
context_length = 512
embedding_length = 256
block_count = 2
feed_forward_length = 512
attention.head_count = 4
attention.head_count_kv = 4
attention.layer_norm_rms_epsilon = 1e-5
expert_count = 4
expert_used_count = 2
expert_feed_forward_length = 256
)",
                                                     tiny_moe().string());
    EXPECT_EQ(shimmy({"generate", tiny_moe().string(), "--raw", "-p", "Once upon a time", "-n", "16", "--device", "cpu",
                      "--moe-backend", "on", "--expert-trace", (dir / "t.csv").string()})
                  .exit_code,
              0);
}

std::set<std::string> names_in(const fs::path & dir) {
    std::set<std::string> names;
    for (const auto & entry : fs::directory_iterator(dir))
        names.insert(entry.path().filename().string());
    return names;
}

class Outputs : public ::testing::TestWithParam<const char *> {};

TEST_P(Outputs, OnADiskThatCannotTakeThemLeaveWhatWasThere) {
    if (!can_mount()) GTEST_SKIP() << "a file system of one's own needs user namespaces";
    const TempDir inputs;
    write_inputs(inputs.path());
    for (const Command & command : commands()) {
        const TempDir dir;
        // The output is a link to "old", so that what it leads to can be looked at.
        const std::string prepare = fmt::format("printf before > old && ln -s old '{}' && ", command.output);
        const ProcessResult result =
            run_on_small_disk(dir.path(), prepare + GetParam(), command.arguments(dir.path(), inputs.path()));
        SCOPED_TRACE(fmt::format("{}: {}{}", command.name, result.out, result.err));
        EXPECT_NE(result.out.find("exit 1\n"), std::string::npos);
        EXPECT_TRUE(result.out.ends_with("before")) << "what was there";
        EXPECT_EQ(result.out.find(".part"), std::string::npos);
        const size_t at = result.err.rfind("shimmy: " + dir.path().string());
        EXPECT_NE(at, std::string::npos) << "the line names the output or its folder";
    }
}

INSTANTIATE_TEST_SUITE_P(Disks, Outputs, ::testing::Values(FULL_DISK, READ_ONLY_DISK),
                         [](const auto & param) { return param.index == 0 ? "Full" : "ReadOnly"; });

TEST(Outputs, OfAKilledProcessAreTheOldOnesOrWhole) {
    const TempDir inputs;
    write_inputs(inputs.path());
    for (const Command & command : commands()) {
        const TempDir dir;
        const std::vector<std::string> arguments = command.arguments(dir.path(), inputs.path());
        ASSERT_EQ(shimmy(arguments).exit_code, 0) << command.name;
        const std::string whole = read_file(dir / command.output);
        const bool same_every_time = std::string(command.name) != "imatrix";  // llama-imatrix writes the date
        for (const char * seconds : {"0.02", "0.05", "0.1", "0.2", "0.4"}) {
            write_file_atomic(dir / command.output, "before");
            std::vector<std::string> argv{"timeout", "-s", "KILL", seconds, SHIMMY_PROGRAM};
            argv.insert(argv.end(), arguments.begin(), arguments.end());
            run_process(argv, RUN_TIMEOUT);
            const std::string now = read_file(dir / command.output);
            const bool is_whole = same_every_time ? now == whole : now.size() == whole.size();
            EXPECT_TRUE(now == "before" || is_whole) << command.name << " killed after " << seconds;
        }
        EXPECT_EQ(shimmy(arguments).exit_code, 0) << command.name;
        EXPECT_EQ(names_in(dir.path()), (std::set<std::string>{command.output})) << "leftovers go with the next run";
    }
}

TEST(Outputs, AFolderInPlaceOfAFileIsRefusedBeforeTheWork) {
    const TempDir inputs;
    write_inputs(inputs.path());
    const TempDir dir;
    fs::create_directory(dir / "out");
    expect_failure({"synth", "--shape", (inputs / "shape.toml").string(), "--out", (dir / "out").string()}, 2,
                   {(dir / "out").string(), "is a folder"});
    expect_failure(
        {"imatrix", "--model", tiny_moe().string(), "--text", EVAL, "--out", (dir / "out").string(), "--device", "cpu"},
        2, {(dir / "out").string(), "is a folder"});
}

TEST(Outputs, AreWrittenThroughALink) {
    const TempDir inputs;
    write_inputs(inputs.path());
    const TempDir dir;
    write_file_atomic(dir / "real.gguf", "before");
    fs::create_symlink("real.gguf", dir / "link.gguf");
    shimmy_json({"synth", "--shape", (inputs / "shape.toml").string(), "--out", (dir / "link.gguf").string()});
    EXPECT_TRUE(fs::is_symlink(dir / "link.gguf"));
    EXPECT_FALSE(gguf::GgufFile(dir / "real.gguf").tensors().empty());
}

}  // namespace
}  // namespace shimmy::e2e
