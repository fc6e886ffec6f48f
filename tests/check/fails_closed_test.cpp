// Kernels that lack what confines code: it must not run there. A filter on this process' own system calls answers as
// such a kernel does.
#include "base/error.h"
#include "check/code.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace shimmy::check {
namespace {

// The call fails with this error from here on, here and in all children; if `flags` is not 0, only where its second
// argument has one of them.
void lack(uint32_t call, uint32_t flags, uint32_t error) {
    const auto load = [](size_t offset) {
        return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
    };
    const uint8_t to_flags = flags == 0 ? 2 : 0;
    std::array<sock_filter, 6> filter{load(offsetof(seccomp_data, nr)),
                                      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, to_flags, 3),
                                      load(offsetof(seccomp_data, args) + sizeof(uint64_t)),
                                      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                                      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        std::abort();
}

// Code that says what it sees of its parent's environment; the process ends with 0 if it was not run.
[[noreturn]] void try_to_run(bool may_read_files) {
    Task task;
    task.kind = Kind::code;
    task.cases.push_back({Json::array(), "no"});
    task.memory_bytes = uint64_t{512} << 20;
    try {
        const PythonRunner runner(may_read_files);
        const std::string code =
            "import os\ndef f():\n"
            "    with open(f'/proc/{os.getppid()}/environ') as file:\n        return file.read()\n";
        for (const std::string & reason : runner.defects(code, task))
            std::fprintf(stderr, "it ran: %s\n", reason.c_str());
        std::_Exit(1);
    } catch (const Error & error) {
        std::fprintf(stderr, "refused: %s\n", error.what());
        std::_Exit(0);
    }
}

class FailsClosedDeathTest : public ::testing::Test {
protected:
    FailsClosedDeathTest() { ::setenv("SHIMMY_TEST_SECRET", "secret-of-the-parent", 1); }
    ~FailsClosedDeathTest() override { ::unsetenv("SHIMMY_TEST_SECRET"); }
};

TEST_F(FailsClosedDeathTest, WithoutLandlock) {
    const auto without = [](bool may_read_files) {
        lack(SYS_landlock_create_ruleset, 0, ENOSYS);
        try_to_run(may_read_files);
    };
    EXPECT_EXIT(without(false), ::testing::ExitedWithCode(0), "refused: this kernel has no Landlock.*not run");
    // Asked for all the same, it may read files, but not what this process knows.
    EXPECT_EXIT(without(true), ::testing::ExitedWithCode(1), "it ran: PermissionError");
}

TEST_F(FailsClosedDeathTest, WithoutQuestionsAboutPaths) {
    const auto without = [](bool may_read_files) {
        lack(SYS_seccomp, SECCOMP_FILTER_FLAG_NEW_LISTENER, EINVAL);
        try_to_run(may_read_files);
    };
    EXPECT_EXIT(without(false), ::testing::ExitedWithCode(0), "refused: python3 does not run in the sandbox");
    EXPECT_EXIT(without(true), ::testing::ExitedWithCode(1), "it ran: PermissionError");
}

TEST_F(FailsClosedDeathTest, WithoutFiltersOfCalls) {
    for (const bool may_read_files : {false, true}) {
        const auto without = [&] {
            lack(SYS_seccomp, 0, ENOSYS);
            try_to_run(may_read_files);
        };
        EXPECT_EXIT(without(), ::testing::ExitedWithCode(0), "refused: python3 does not run in the sandbox");
    }
}

}  // namespace
}  // namespace shimmy::check
