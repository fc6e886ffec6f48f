#include "base/process/child_process.h"

#include "base/error.h"
#include "base/files.h"
#include "base/process/spawn.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>
#include <csignal>
#include <thread>

namespace shimmy {
namespace {

using std::chrono::milliseconds;

TEST(ChildProcess, LinesAndEndOfOutput) {
    ChildProcess child({"sh", "-c", "echo one; echo two; echo wrong >&2"});
    EXPECT_EQ(child.read_line(milliseconds(5000)), "one");
    EXPECT_EQ(child.read_line(milliseconds(5000)), "two");
    EXPECT_EQ(child.read_line(milliseconds(5000)), std::nullopt);
    EXPECT_EQ(child.stop(milliseconds(5000)), 0);
    EXPECT_EQ(child.err(), "wrong\n");
}

TEST(ChildProcess, StopAsksFirstAndThenKills) {
    ChildProcess polite({"sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"});
    EXPECT_EQ(polite.read_line(milliseconds(5000)), "up");
    EXPECT_GT(polite.peak_rss_bytes(), 0U);
    EXPECT_EQ(polite.stop(milliseconds(5000)), 3);
    ChildProcess deaf({"sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"});
    EXPECT_EQ(deaf.read_line(milliseconds(5000)), "up");
    EXPECT_EQ(deaf.stop(milliseconds(200)), 128 + SIGKILL);
}

TEST(ChildProcess, SilenceEndsTheWait) {
    ChildProcess child({"sleep", "10"});
    EXPECT_EQ(child.read_line(milliseconds(100)), std::nullopt);
}

TEST(ChildProcess, AMissingProgramIsNamed) {
    try {
        ChildProcess child({"/no/such/program"});
        ADD_FAILURE() << "started";
    } catch (const Error & error) {
        EXPECT_NE(std::string(error.what()).find("/no/such/program: cannot be started: No such file"),
                  std::string::npos);
    }
}

TEST(ChildProcess, OutputThatComesInPiecesIsReadToItsDelimiter) {
    ChildProcess child({"sh", "-c", "printf 'a,bc'; sleep 0.2; printf 'd,'; printf 'rest'; printf 'why' >&2"});
    EXPECT_EQ(child.read_until(',', milliseconds(5000)), "a");
    EXPECT_EQ(child.read_until(',', milliseconds(5000)), "bcd");
    EXPECT_EQ(child.read_until(',', milliseconds(5000)), std::nullopt) << "no delimiter follows";
    EXPECT_EQ(child.err(), "why");
}

TEST(ChildProcess, ReadsMoreThanItsBuffer) {
    ChildProcess child(
        {"sh", "-c", "head -c 10000 /dev/zero | tr '\\0' x; echo; head -c 9000 /dev/zero | tr '\\0' y >&2"});
    EXPECT_TRUE(child.read_line(milliseconds(5000)) == std::string(10000, 'x'));
    EXPECT_EQ(child.read_line(milliseconds(5000)), std::nullopt);
    EXPECT_TRUE(child.err() == std::string(9000, 'y')) << child.err().size();
}

TEST(ChildProcess, TheExitCodeStaysKnown) {
    ChildProcess child({"sh", "-c", "echo up; read line; exit 5"});
    EXPECT_EQ(child.read_line(milliseconds(5000)), "up");
    EXPECT_EQ(child.read_line(milliseconds(5000)), std::nullopt);
    for (int i = 0; i < 500 && !child.has_ended(); ++i)
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_TRUE(child.has_ended());
    EXPECT_TRUE(child.has_ended());
    EXPECT_EQ(child.stop(milliseconds(0)), 5);
    EXPECT_EQ(child.peak_rss_bytes(), 0U) << "nothing runs any more";
    ChildProcess killed({"sh", "-c", "kill -9 $$"});
    for (int i = 0; i < 500 && !killed.has_ended(); ++i)
        std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(killed.stop(milliseconds(0)), 128 + SIGKILL);
}

TEST(ChildProcess, PeakMemoryIsTheKernelsFigure) {
    ChildProcess child({"sh", "-c", "echo up; read line; while :; do sleep 0.05; done"});
    EXPECT_EQ(child.read_line(milliseconds(5000)), "up");
    const uint64_t peak = child.peak_rss_bytes();
    EXPECT_EQ(peak % 1024, 0U);
    EXPECT_GT(peak, 100U * 1024);
    EXPECT_LT(peak, 100U * 1024 * 1024) << "a shell";
}

TEST(ChildProcess, ARunningOneHasNotEnded) {
    ChildProcess child({"sleep", "60"});
    EXPECT_FALSE(child.has_ended());
    EXPECT_EQ(child.stop(milliseconds(5000)), 128 + SIGTERM) << "it is asked to end, not killed";
}

// A process that is killed takes what it started with it.
TEST(ChildProcess, DoesNotOutliveItsParent) {
    const TempDir dir;
    const fs::path pid_file = dir.path() / "pid";
    const pid_t parent = ::fork();
    if (parent == 0) {
        spawn({"sh", "-c", "echo $$ > " + pid_file.string() + "; exec sleep 60"}, STDOUT_FILENO, STDERR_FILENO);
        ::pause();
    }
    pid_t grandchild = 0;
    for (int i = 0; i < 200 && grandchild == 0; ++i) {
        std::this_thread::sleep_for(milliseconds(20));
        if (fs::exists(pid_file) && fs::file_size(pid_file) > 0) grandchild = std::stoi(read_file(pid_file));
    }
    ASSERT_GT(grandchild, 0);
    EXPECT_EQ(::kill(grandchild, 0), 0);
    ::kill(parent, SIGKILL);
    wait_exit_code(parent);
    bool gone = false;
    for (int i = 0; i < 200 && !gone; ++i) {
        std::this_thread::sleep_for(milliseconds(20));
        // An orphan that nobody waits for may stay as a zombie.
        const std::string stat = fs::exists(fmt::format("/proc/{}/stat", grandchild))
                                     ? read_file(fmt::format("/proc/{}/stat", grandchild))
                                     : "";
        gone = stat.empty() || stat.find(") Z ") != std::string::npos;
    }
    EXPECT_TRUE(gone);
}

}  // namespace
}  // namespace shimmy
