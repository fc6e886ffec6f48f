// A file that becomes shorter while its model is in use: a failed call that names it, and the model works again when
// the file is whole again.
#include "base/error.h"
#include "engine/load/model_files.h"
#include "error_of.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include "llama.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <functional>

// What the program calls is wrapped by the linker.
namespace {
std::function<void()> before_decoding;
}
extern "C" int32_t __real_llama_decode(llama_context * context, llama_batch batch);
extern "C" int32_t __wrap_llama_decode(llama_context * context, llama_batch batch) {
    if (before_decoding) before_decoding();
    return __real_llama_decode(context, batch);
}

namespace shimmy::engine {
namespace {

const std::string WHAT_TO_DO = ": restore it, or load the model again";

// A copy of the model, in a file that tests cut.
struct CopiedModel {
    const TempDir dir;
    const fs::path file = dir / "shrinks.gguf";
    const LoadOptions options = [&] {
        fs::copy_file(TINY_MOE, file);
        LoadOptions of_file = options_for("cpu", Placement::baseline());
        of_file.path = file.string();
        return of_file;
    }();
    Model model{options};
    const uint64_t bytes = fs::file_size(file);

    std::string answer() { return model.generate("The old house", 8, {}, {}).text; }
};

// The last byte alone: its page stays, so that nothing could end the process if this went unnoticed.
TEST(ShrinkingModel, IsRefusedUntilItIsWholeAgain) {
    CopiedModel copied;
    const fs::path & file = copied.file;
    const std::string before = copied.answer();
    const std::string content = read_file(file);
    fs::resize_file(file, copied.bytes - 1);
    EXPECT_EQ(error_of([&] { copied.answer(); }),
              fmt::format("{}: became shorter while it is in use ({} of {} bytes are left){}", file.string(),
                          copied.bytes - 1, copied.bytes, WHAT_TO_DO));
    fs::resize_file(file, copied.bytes);
    std::FILE * stream = std::fopen(file.c_str(), "r+b");
    ASSERT_EQ(std::fwrite(content.data(), 1, content.size(), stream), content.size());
    std::fclose(stream);
    EXPECT_EQ(copied.answer(), before);
}

// It is cut behind the look at its length: the batch reads weights that are gone.
TEST(ShrinkingModel, AFileThatIsCutWhileABatchIsComputedEndsTheCall) {
    CopiedModel copied;
    const fs::path & file = copied.file;
    before_decoding = [&] { fs::resize_file(file, 4096); };
    const std::string unread = file.string() +
                               ": could not be read while it is in use: its disk failed, or it became shorter. "
                               "Load the model again";
    EXPECT_EQ(error_of([&] { copied.answer(); }), unread);
    before_decoding = nullptr;
    fs::resize_file(file, copied.bytes);  // as long as before, but what was read in between is not there
    EXPECT_EQ(error_of([&] { copied.answer(); }), unread);
    fs::remove(file);
    fs::copy_file(TINY_MOE, file);
    EXPECT_FALSE(Model(copied.options).generate("The old house", 8, {}, {}).text.empty());
}

// Where nobody would ask, the process ends as ever: figures of zeros are worse than none.
TEST(ShrinkingModelDeathTest, OutsideABatchAPageThatIsGoneEndsTheProcess) {
    const TempDir dir;
    const fs::path file = dir / "pages";
    write_file_atomic(file, std::string(3 * 4096, 'x'));
    const int fd = ::open(file.c_str(), O_RDONLY);
    const auto * bytes = static_cast<const volatile char *>(::mmap(nullptr, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0));
    ::close(fd);
    ModelFiles files({file});
    files.find_mappings();
    fs::resize_file(file, 4096);
    EXPECT_EQ(bytes[0], 'x');
    EXPECT_EXIT((void)bytes[4096], ::testing::KilledBySignal(SIGBUS), "");
    {
        const ModelFiles::Watch watch(files);
        EXPECT_EQ(bytes[4096], 0);
        EXPECT_EQ(bytes[0], 0) << "all of it: half a model is no model";
    }
    EXPECT_NE(error_of([&] { files.require_read(); }).find(file.string() + ": could not be read"), std::string::npos);
    ::munmap(const_cast<char *>(bytes), 3 * 4096);
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
