// How a process ends that cannot end well: a line, an exit code, and nothing left behind.
#include "base/last_words.h"

#include "base/error.h"
#include "base/files.h"
#include "base/process/interrupt.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace shimmy {
namespace {

bool json = false;

class LastWordsDeathTest : public ::testing::Test {
protected:
    LastWordsDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(LastWordsDeathTest, AFaultIsALineThatNamesTheFile) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer reports faults itself";
#endif
    const auto fault = [](int number) {
        install_last_words(&json);
        const Subject subject("folder/m.gguf");
        std::raise(number);
    };
    EXPECT_EXIT(fault(SIGSEGV), ::testing::ExitedWithCode(1), "^shimmy: folder/m.gguf: a memory fault");
    EXPECT_EXIT(fault(SIGBUS), ::testing::ExitedWithCode(1), "^shimmy: folder/m.gguf: a mapped file became shorter");
    EXPECT_EXIT(fault(SIGABRT), ::testing::ExitedWithCode(1), "^shimmy: folder/m.gguf: a library gave up");
}

int descend(int n) {
    volatile char frame[4096] = {static_cast<char>(n)};
    return n == 0 ? 0 : descend(n + 1) + frame[n % 4096];
}

TEST_F(LastWordsDeathTest, AFullStackIsOneToo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer reports faults itself";
#endif
    const auto fill = [] {
        install_last_words(&json);
        std::exit(descend(1));
    };
    EXPECT_EXIT(fill(), ::testing::ExitedWithCode(1), "^shimmy: a memory fault");
}

TEST_F(LastWordsDeathTest, FilesUnderConstructionGoAway) {
    const TempDir dir;
    const auto fault = [&] {
        install_last_words(&json);
        PartFile part(dir / "m.gguf");
        write_file_atomic(part.path(), "half of it");
        end_by_fault("broken\nin two");
    };
    write_file_atomic(dir / "m.gguf", "before");
    EXPECT_EXIT(fault(), ::testing::ExitedWithCode(1), "^shimmy: broken in two\n$");
    EXPECT_EQ(read_file(dir / "m.gguf"), "before");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST_F(LastWordsDeathTest, AnExceptionThatNothingCatchesIsSaid) {
    const auto throw_in_a_thread = [] {
        install_last_words(&json);
        std::thread([] { throw Error("no such thing"); }).join();
    };
    EXPECT_EXIT(throw_in_a_thread(), ::testing::ExitedWithCode(1), "^shimmy: no such thing\n$");
}

TEST_F(LastWordsDeathTest, TheNewestSubjectCounts) {
    const auto fault = [] {
        install_last_words(&json);
        const Subject outer("outer");
        { const Subject inner("inner"); }
        end_by_fault("why");
    };
    EXPECT_EXIT(fault(), ::testing::ExitedWithCode(1), "^shimmy: outer: why\n$");
}

TEST_F(LastWordsDeathTest, ASignalThatIsNotObeyedEndsTheProcess) {
    const TempDir dir;
    const auto be_deaf = [&] {
        install_interrupt_handler();
        install_last_words(&json);
        const EndsWithinASecond soon;
        PartFile part(dir / "m.gguf");
        write_file_atomic(part.path(), "half of it");
        std::raise(SIGINT);
        for (;;)
            ::pause();
    };
    EXPECT_EXIT(be_deaf(), ::testing::ExitedWithCode(130), "^shimmy: interrupted\n$");
    EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST_F(LastWordsDeathTest, ASignalThatIsObeyedDoesNot) {
    const auto obey = [] {
        install_interrupt_handler();
        install_last_words(&json);
        {
            const EndsWithinASecond soon;
            std::raise(SIGINT);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1200));
        std::exit(interrupted() ? 7 : 8);
    };
    EXPECT_EXIT(obey(), ::testing::ExitedWithCode(7), "^$");
}

}  // namespace
}  // namespace shimmy
