#include "check/sandbox/seccomp_filter.h"

#include "base/error.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>

namespace shimmy::check {

namespace {

// What an interpreter needs to start, read its own files, compute, and print. Nothing here makes a file, a process, a
// thread or a socket, or reaches another process.
constexpr std::initializer_list<const char *> ALLOWED = {
    "read",
    "readv",
    "pread64",
    "write",
    "writev",
    "close",
    "lseek",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getcwd",
    "getdents64",
    "fadvise64",
    "dup",
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "brk",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "restart_syscall",
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "uname",
    "sysinfo",
    "getrusage",
    "getrlimit",
    "futex",
    "set_robust_list",
    "set_tid_address",
    "rseq",
    "arch_prctl",
    "sched_getaffinity",
    "sched_yield",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "time",
    "times",
    "nanosleep",
    "clock_nanosleep",
    "getrandom",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_create1",
    "execve",  // starts the interpreter. What it would start later runs under the same filter
    "exit",
    "exit_group",
};

constexpr int WRITE_FLAGS = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;

class Filter {
public:
    explicit Filter(uint32_t otherwise) : context_(seccomp_init(otherwise), &seccomp_release) {
        if (!context_) fail("code cannot be confined here: libseccomp failed");
    }

    void allow(const char * name, std::initializer_list<scmp_arg_cmp> conditions = {}) {
        add(SCMP_ACT_ALLOW, name, conditions);
    }

    // If all conditions hold. A call that this architecture does not have is skipped.
    void add(uint32_t action, const char * name, std::initializer_list<scmp_arg_cmp> conditions = {}) {
        const int call = seccomp_syscall_resolve_name(name);
        if (call < 0) return;
        const int rc = seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(conditions.size()),
                                              conditions.begin());
        if (rc != 0) fail("code cannot be confined here: libseccomp: {}: {}", name, std::strerror(-rc));
    }

    std::vector<sock_filter> program() const {
        const int fd = ::memfd_create("filter", MFD_CLOEXEC);
        if (fd < 0) fail("code cannot be confined here: {}", std::strerror(errno));
        const std::unique_ptr<const int, void (*)(const int *)> guard(&fd, [](const int * f) { ::close(*f); });
        const int rc = seccomp_export_bpf(context_.get(), fd);
        const off_t n_bytes = ::lseek(fd, 0, SEEK_END);
        if (rc != 0 || n_bytes <= 0) fail("code cannot be confined here: libseccomp made no filter");
        std::vector<sock_filter> result(static_cast<size_t>(n_bytes) / sizeof(sock_filter));
        if (::pread(fd, result.data(), static_cast<size_t>(n_bytes), 0) != n_bytes)
            fail("code cannot be confined here: {}", std::strerror(errno));
        return result;
    }

private:
    std::unique_ptr<void, decltype(&seccomp_release)> context_;
};

}  // namespace

std::vector<sock_filter> compute_only_filter() {
    Filter filter(SCMP_ACT_ERRNO(EPERM));
    for (const char * name : ALLOWED)
        filter.allow(name);
    filter.allow("open", {SCMP_A1(SCMP_CMP_MASKED_EQ, WRITE_FLAGS, O_RDONLY)});
    filter.allow("openat", {SCMP_A2(SCMP_CMP_MASKED_EQ, WRITE_FLAGS, O_RDONLY)});
    for (const unsigned long request : {static_cast<unsigned long>(TCGETS), static_cast<unsigned long>(FIOCLEX),
                                        static_cast<unsigned long>(FIONCLEX)})
        filter.allow("ioctl", {SCMP_A1(SCMP_CMP_EQ, request)});
    // What allocators ask for. Others poison pages of memory, or reach into swap.
    for (const int advice : {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE,
                             MADV_HUGEPAGE, MADV_NOHUGEPAGE})
        filter.allow("madvise", {SCMP_A2(SCMP_CMP_EQ, static_cast<scmp_datum_t>(advice))});
    for (const unsigned command : {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC})
        filter.allow("fcntl", {SCMP_A1(SCMP_CMP_EQ, command)});
    filter.allow("prlimit64", {SCMP_A2(SCMP_CMP_EQ, 0)});  // asks, sets nothing
    return filter.program();
}

std::vector<sock_filter> asking_filter(const std::vector<const char *> & calls) {
    Filter filter(SCMP_ACT_ALLOW);
    for (const char * name : calls)
        filter.add(SCMP_ACT_NOTIFY, name);
    return filter.program();
}

}  // namespace shimmy::check
