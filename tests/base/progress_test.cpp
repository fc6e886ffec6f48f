// What people see of long work, in a child of its own: stderr is a file here, and a terminal in tests/e2e.
#include "base/process/progress.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "base/process/spawn.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

namespace shimmy {
namespace {

// Runs it in a child; the exit code.
int in_child(const std::function<void()> & body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        body();
        ::_exit(0);
    }
    return wait_exit_code(pid);
}

std::string shown(const std::function<void()> & body) {
    ::testing::internal::CaptureStderr();
    body();
    return ::testing::internal::GetCapturedStderr();
}

TEST(Progress, SaysEveryTenthOnce) {
    EXPECT_EQ(shown([] {
                  Progress progress("work");
                  for (uint64_t done = 0; done <= 200; ++done)
                      progress.update(done, 200);
              }),
              "work: 10%\nwork: 20%\nwork: 30%\nwork: 40%\nwork: 50%\nwork: 60%\nwork: 70%\nwork: 80%\nwork: 90%\n"
              "work: 100%\n");
}

TEST(Progress, StepsLargerThanATenthAreOneLine) {
    EXPECT_EQ(shown([] {
                  Progress progress("work");
                  progress.update(19, 100);
                  progress.update(20, 100);
                  progress.update(99, 100);
              }),
              "work: 10%\nwork: 20%\nwork: 90%\n");
}

TEST(Progress, SaysNothingWhenQuietOrWithoutWork) {
    EXPECT_EQ(shown([] {
                  Progress quiet("work", /*quiet=*/true);
                  quiet.update(50, 100);
                  quiet.note("a note");
                  Progress idle("work");
                  idle.update(0, 0);
                  const std::jthread none = idle.count_down();
                  EXPECT_FALSE(none.joinable()) << "only a terminal counts down";
              }),
              "");
    EXPECT_EQ(shown([] { Progress("work").note("a note"); }), "a note\n");
}

// A rate that is told and a time left that is told belong together, whatever the clock says.
TEST(Progress, TheRestTakesAsLongAsTheRateSays) {
    for (const double moved : {1e6, 1e8}) {  // seconds, minutes; hours
        const std::string text = shown([&] {
            Progress progress("copy", false, /*bytes=*/true);
            progress.update(static_cast<uint64_t>(2e11 - moved), uint64_t{1'000'000'000'000});
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            progress.update(uint64_t{200'000'000'000}, uint64_t{1'000'000'000'000});
        });
        double rate = 0;
        char prefix = 0;
        double large = 0;
        double small = 0;
        char unit = 0;
        ASSERT_EQ(std::sscanf(text.c_str(), "copy: 10%%\ncopy: 20%%  %lf %ciB/s  %lf%c%lf", &rate, &prefix, &large,
                              &unit, &small),
                  5)
            << text;
        rate *= std::pow(1024.0, 1.0 + static_cast<double>(std::string("KMG").find(prefix)));
        EXPECT_LE(rate, moved / 0.02) << "only what was done since the start counts";
        const double told_s = unit == 'h' ? 3600.0 * large + 60.0 * small : 60.0 * large + small;
        EXPECT_NEAR(told_s, 8e11 / rate, 0.01 * 8e11 / rate + (unit == 'h' ? 60.0 : 1.0)) << text;
    }
}

TEST(Progress, BytesHaveARateAndATimeLeft) {
    const std::string text = shown([] {
        Progress progress("copy", false, /*bytes=*/true);
        progress.update(0, 100);
        progress.update(50, 100);
    });
    EXPECT_TRUE(text.starts_with("copy: 50%  ")) << text;
    EXPECT_NE(text.find("/s  0:00 left\n"), std::string::npos) << text;
    // Work that goes on where it was has no rate before it moved.
    EXPECT_EQ(shown([] {
                  Progress progress("copy", false, /*bytes=*/true);
                  progress.update(50, 100);
              }),
              "copy: 50%\n");
}

TEST(Interrupt, ASignalIsAWishThatLoopsSee) {
    EXPECT_FALSE(interrupted());
    EXPECT_NO_THROW(check_interrupted());
    for (const int signal_number : {SIGINT, SIGTERM}) {
        EXPECT_EQ(in_child([&] {
                      install_interrupt_handler();
                      std::raise(signal_number);
                      if (!interrupted()) ::_exit(1);
                      try {
                          Progress("work", /*quiet=*/true).update(1, 2);
                          ::_exit(2);
                      } catch (const Interrupted &) {
                          ::_exit(42);
                      }
                  }),
                  42);
    }
}

TEST(Interrupt, ASecondSignalAtOnceIsTheSameWishAndALaterOneInsists) {
    EXPECT_EQ(in_child([] {
                  install_interrupt_handler();
                  std::raise(SIGINT);
                  std::raise(SIGINT);  // as `timeout` passes it on
                  ::_exit(interrupted() ? 42 : 1);
              }),
              42);
    EXPECT_EQ(in_child([] {
                  install_interrupt_handler();
                  std::raise(SIGINT);
                  ::usleep(700'000);
                  std::raise(SIGINT);
              }),
              128 + SIGINT);
}

TEST(Interrupt, WritingToNobodyIsAnErrorNotADeath) {
    EXPECT_EQ(in_child([] {
                  install_interrupt_handler();
                  std::raise(SIGPIPE);
                  std::raise(SIGXFSZ);
                  ::_exit(42);
              }),
              42);
}

}  // namespace
}  // namespace shimmy
