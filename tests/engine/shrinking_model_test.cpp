// A file that becomes shorter while its model is in use: a failed call that names it, and the model works again when
// the file is whole again.
#include "base/error.h"
#include "engine/load/model_files.h"
#include "error_of.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

namespace shimmy::engine {
namespace {

const std::string WHAT_TO_DO = ": restore it, or load the model again";

// The last byte alone: its page stays, so that nothing could end the process if this went unnoticed.
TEST(ShrinkingModel, IsRefusedUntilItIsWholeAgain) {
    const TempDir dir;
    const fs::path file = dir / "shrinks.gguf";
    fs::copy_file(TINY_MOE, file);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = file.string();
    Model model(options);
    const auto answer = [&] { return model.generate("The old house", 8, {}, {}).text; };
    const std::string before = answer();
    const uint64_t bytes = fs::file_size(file);
    const std::string content = read_file(file);
    fs::resize_file(file, bytes - 1);
    EXPECT_EQ(error_of([&] { answer(); }),
              fmt::format("{}: became shorter while it is in use ({} of {} bytes are left){}", file.string(), bytes - 1,
                          bytes, WHAT_TO_DO));
    fs::resize_file(file, bytes);
    std::FILE * stream = std::fopen(file.c_str(), "r+b");
    ASSERT_EQ(std::fwrite(content.data(), 1, content.size(), stream), content.size());
    std::fclose(stream);
    EXPECT_EQ(answer(), before);
}

TEST(ShrinkingModel, ACopyInRamNeedsNoFile) {
    const TempDir dir;
    const fs::path file = dir / "shrinks.gguf";
    fs::copy_file(TINY_MOE, file);
    LoadOptions options = options_for("cpu", Placement::baseline());
    options.path = file.string();
    options.llama_args = {"--load-mode", "none"};
    Model model(options);
    fs::resize_file(file, fs::file_size(file) - 1);
    EXPECT_FALSE(model.generate("The old house", 8, {}, {}).text.empty());
}

// The second of two: growing is no fault, nor is a file that was never there.
TEST(ShrinkingModel, TheFileThatBecameShorterIsNamed) {
    const TempDir dir;
    const fs::path first = dir / "first", second = dir / "second";
    write_file_atomic(first, "1234");
    write_file_atomic(second, "12345");
    const ModelFiles files({first, dir / "none", second});
    EXPECT_EQ(error_of([&] { files.require_whole(); }), "");
    fs::resize_file(first, 10);
    fs::resize_file(second, 3);
    EXPECT_EQ(error_of([&] { files.require_whole(); }),
              second.string() + ": became shorter while it is in use (3 of 5 bytes are left)" + WHAT_TO_DO);
    EXPECT_EQ(error_of([] { ModelFiles().require_whole(); }), "");
}

}  // namespace
}  // namespace shimmy::engine
