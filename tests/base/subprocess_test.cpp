#include "base/process/subprocess.h"

#include "base/error.h"
#include "base/process/child_process.h"
#include "base/process/spawn.h"
#include "base/process/uninterrupted.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <filesystem>
#include <iterator>
#include <utility>
#include <vector>

namespace shimmy {
namespace {

using namespace std::chrono_literals;

std::string error_of_start(const std::vector<std::string> & argv) {
    try {
        (void)run_process(argv);
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

auto n_open_files() {
    using Folder = std::filesystem::directory_iterator;
    return std::distance(Folder("/proc/self/fd"), Folder());
}

TEST(Subprocess, KeepsOutputsApartAndReturnsTheExitCode) {
    const ProcessResult result = run_process({"sh", "-c", "echo out; echo err >&2; exit 3"});
    EXPECT_EQ(result.out, "out\n");
    EXPECT_EQ(result.err, "err\n");
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_FALSE(result.ok());
}

TEST(Subprocess, ReadsMoreThanAPipeHolds) {
    const ProcessResult result =
        run_process({"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero >&2"});
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result.out.size(), 1'000'000U);
    EXPECT_EQ(result.err.size(), 300'000U);
}

TEST(Subprocess, ATimeoutKills) {
    const auto start = std::chrono::steady_clock::now();
    const ProcessResult result = run_process({"sleep", "60"}, 200ms);
    EXPECT_TRUE(result.timed_out);
    EXPECT_FALSE(result.ok());
    EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
}

TEST(Subprocess, ASignalIsAnExitCode) {
    EXPECT_EQ(run_process({"sh", "-c", "kill -TERM $$"}).exit_code, 128 + 15);
}

TEST(Subprocess, AMissingProgramIsAnError) {
    EXPECT_EQ(error_of_start({"/no/such/program"}), "/no/such/program: cannot be started: No such file or directory");
    EXPECT_EQ(error_of_start({"/", "a"}), "/: cannot be started: Permission denied");
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "nobody is left to wait for";
}

TEST(Subprocess, NothingStaysOpen) {
    const auto n_before = n_open_files();
    (void)run_process({"sh", "-c", "echo out; echo err >&2"});
    EXPECT_EQ(n_open_files(), n_before);
    EXPECT_TRUE(run_process({"sleep", "60"}, 10ms).timed_out);
    EXPECT_EQ(n_open_files(), n_before);
    (void)error_of_start({"/no/such/program"});
    EXPECT_EQ(n_open_files(), n_before);
    { const ChildProcess child({"true"}); }
    EXPECT_EQ(n_open_files(), n_before);
    EXPECT_THROW(ChildProcess({"/no/such/program"}), Error);
    EXPECT_EQ(n_open_files(), n_before);
}

// Another child's pipes would not end while this one lives.
TEST(Subprocess, AChildHasItsOwnFilesOnly) {
    const auto files_of_child = [] { return run_process({"sh", "-c", "ls /proc/$$/fd | wc -l"}).out; };
    const std::string alone = files_of_child();
    const ChildProcess other({"sleep", "60"});
    EXPECT_EQ(files_of_child(), alone);
}

// A system call that gives these results, one after another, with their errno.
struct Calls {
    std::vector<std::pair<int, int>> results;
    size_t n_made = 0;
    int operator()() {
        const auto [result, error] = results.at(n_made++);
        errno = error;
        return result;
    }
};

TEST(Uninterrupted, OnlyASignalIsAReasonToCallAgain) {
    Calls calls{{{-1, EINTR}, {-1, EINTR}, {7, 0}, {-1, 0}}};
    EXPECT_EQ(uninterrupted(std::ref(calls)), 7);
    EXPECT_EQ(calls.n_made, 3U);
    Calls failing{{{-1, EINTR}, {-1, EIO}, {7, 0}}};
    EXPECT_EQ(uninterrupted(std::ref(failing)), -1);
    EXPECT_EQ(errno, EIO);
    EXPECT_EQ(failing.n_made, 2U);
    Calls at_end{{{0, EINTR}, {7, 0}}};
    EXPECT_EQ(uninterrupted(std::ref(at_end)), 0) << "errno says something after a failure only";
    EXPECT_EQ(at_end.n_made, 1U);
}

TEST(Subprocess, WithoutATimeoutItWaits) {
    const ProcessResult result =
        run_process({"sh", "-c", "sleep 0.3; echo late; exec >&-; exec 2>&-; sleep 0.1; exit 7"});
    EXPECT_EQ(result.out, "late\n");
    EXPECT_EQ(result.exit_code, 7) << "the exit code may come after the end of output";
    EXPECT_FALSE(result.timed_out);
    EXPECT_TRUE(run_process({"true"}, 60s).ok());
}

TEST(Subprocess, StandardInputIsEmpty) {
    EXPECT_EQ(run_process({"cat"}, 60s).exit_code, 0);
}

TEST(Subprocess, OutputOfATimeoutIsKept) {
    const ProcessResult result = run_process({"sh", "-c", "echo begun; echo why >&2; exec sleep 60"}, 1s);
    EXPECT_TRUE(result.timed_out);
    EXPECT_EQ(result.exit_code, 128 + 9);
    EXPECT_EQ(result.out, "begun\n");
    EXPECT_EQ(result.err, "why\n");
}

TEST(Subprocess, ThisProgramIsFound) {
    EXPECT_TRUE(self_path().ends_with("/base_tests")) << self_path();
}

}  // namespace
}  // namespace shimmy
