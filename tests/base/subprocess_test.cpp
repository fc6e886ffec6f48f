#include "base/process/subprocess.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace shimmy {
namespace {

using namespace std::chrono_literals;

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
    EXPECT_THROW((void)run_process({"/no/such/program"}), Error);
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
