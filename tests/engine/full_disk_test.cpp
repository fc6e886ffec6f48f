// A disk that fills while something is made: the old file stays, nothing half made is left, and the error names the
// output.
#include "base/error.h"
#include "engine/make/make_imatrix.h"
#include "engine/make/quantize.h"
#include "temp_dir.h"
#include "tiny_moe.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <csignal>
#include <optional>

namespace shimmy::engine {
namespace {

// A limit on file size fails writes as a full disk does, in this process and those that it starts.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t n_bytes) {
        getrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{n_bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
    }
    ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
    FileSizeLimit(const FileSizeLimit &) = delete;
    FileSizeLimit & operator=(const FileSizeLimit &) = delete;

private:
    rlimit before_{};
};

class FullDisk : public ::testing::Test {
protected:
    FullDisk() { write_file_atomic(output_, "old"); }

    void expect_old_file_and_reason(const std::function<void()> & make, bool from_the_start = true) {
        std::string message;
        {
            std::optional<FileSizeLimit> limit;
            if (from_the_start) limit.emplace(100'000);
            try {
                make();
            } catch (const Error & error) {
                message = error.what();
            }
        }
        EXPECT_EQ(message.find(output_.string() + ": could not be written"), 0U) << message;
        EXPECT_EQ(read_file(output_), "old");
        EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), fs::directory_iterator()), 1);
    }

    TempDir dir_;
    fs::path output_ = dir_ / "out.gguf";
};

TEST_F(FullDisk, WhileQuantizing) {
    expect_old_file_and_reason(
        [&] {
            QuantizeOptions options;
            options.input = TINY_MOE;
            options.output = output_;
            options.type = "Q8_0";
            std::optional<FileSizeLimit> limit;  // what it plans before is held in memory, as a file
            quantize(options, [&](uint64_t, uint64_t) {
                if (!limit) limit.emplace(100'000);
            });
        },
        /*from_the_start=*/false);
}

TEST_F(FullDisk, WhileMakingAnImportanceMatrix) {
    ImatrixOptions options;
    options.load = options_for("cpu", Placement::baseline());
    options.load.n_ctx = 128;
    options.text = EVAL_TEXT;
    options.output = output_;
    options.n_chunks = 8;  // llama-imatrix may end before its log has said how many there are, if they are few
    expect_old_file_and_reason([&] { make_imatrix(options, [](uint64_t, uint64_t) {}); });
    uint64_t n_done = 0;
    make_imatrix(options, [&](uint64_t done, uint64_t total) {
        n_done = done;
        EXPECT_EQ(total, 8U);
    });
    EXPECT_EQ(n_done, 8U);
    EXPECT_GT(fs::file_size(output_), 100'000U) << "with room, it is made";
}

}  // namespace
}  // namespace shimmy::engine
