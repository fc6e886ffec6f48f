#include "check/sandbox/sandbox.h"

#include "base/error.h"
#include "base/process/descriptor.h"
#include "base/process/interrupt.h"
#include "base/process/spawn.h"
#include "base/process/uninterrupted.h"
#include "check/sandbox/path_guard.h"
#include "check/sandbox/read_only_view.h"
#include "check/sandbox/seccomp_filter.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

namespace shimmy::check {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int POLL_MS = 20;
constexpr rlim_t MAX_OPEN_FILES = 64;

std::pair<Descriptor, Descriptor> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe: {}", std::strerror(errno));
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// A file without a name that holds `text`, at its beginning, for reading only.
Descriptor input_file(const std::string & text) {
    const Descriptor file(::memfd_create("input", MFD_CLOEXEC));
    if (file.fd() < 0 || ::write(file.fd(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        fail("the input of confined code: {}", std::strerror(errno));
    return Descriptor(::open(fmt::format("/proc/self/fd/{}", file.fd()).c_str(), O_RDONLY | O_CLOEXEC));
}

struct Child {
    char * const * args;
    char * const * environment;
    int in_fd, out_fd, err_fd;
    const sock_fprog * filter;
    const ReadOnlyView * view;
    const PathGuard * guard;  // null: it may learn which paths there are
    rlim_t memory_bytes;
    rlim_t cpu_s;
    pid_t parent;
};

bool limit(__rlimit_resource resource, rlim_t value) {
    const rlimit both{value, value};
    return ::setrlimit(resource, &both) == 0;
}

// Root's rights, which would read other processes' memory and environment past their owner's wish. Without effect for
// others, who have none.
bool give_up_capabilities() {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
    return ::syscall(SYS_capset, &head, none.data()) == 0;
}

// In the child: only what is safe between fork and exec. Returns on failure, with errno set.
void become(const Child & child) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
    if (::getppid() != child.parent) ::_exit(127);
    ::setsid();
    if (::chdir("/") != 0 || ::dup2(child.in_fd, STDIN_FILENO) < 0 || ::dup2(child.out_fd, STDOUT_FILENO) < 0 ||
        ::dup2(child.err_fd, STDERR_FILENO) < 0)
        return;
    if (::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0) return;
    // Before the limits: the descriptor that it makes may have a high number.
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !give_up_capabilities()) return;
    if (child.guard != nullptr && !child.guard->apply()) return;
    if (!limit(RLIMIT_AS, child.memory_bytes) || !limit(RLIMIT_CPU, child.cpu_s) || !limit(RLIMIT_FSIZE, 0) ||
        !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, MAX_OPEN_FILES))
        return;
    if (!child.view->apply()) return;
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, child.filter) != 0) return;
    ::execve(child.args[0], child.args, child.environment);
}

// Throws Error with what failed in the child before it became the program.
pid_t start(const Child & child, PathGuard * guard, const std::string & name) {
    auto [failed, tell] = make_pipe();
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int tell_fd = tell.fd();
        become(child);
        const int error = errno;
        [[maybe_unused]] const ssize_t told = ::write(tell_fd, &error, sizeof(error));
        ::_exit(127);
    }
    tell.reset();
    if (pid > 0 && guard != nullptr) guard->answer();
    int error = pid < 0 ? errno : 0;
    const int said = failed.fd();
    if (pid > 0) uninterrupted([&] { return ::read(said, &error, sizeof(error)); });
    if (error == 0) return pid;
    if (pid > 0) wait_exit_code(pid);
    fail("{}: cannot be started confined: {}", name, std::strerror(error));
}

// Appends what is there; closes the end at end-of-file.
void drain(Descriptor & end, std::string & text) {
    std::array<char, 16384> buffer;
    const ssize_t n = uninterrupted([&] { return ::read(end.fd(), buffer.data(), buffer.size()); });
    if (n <= 0) return end.reset();
    text.append(buffer.data(), static_cast<size_t>(n));
}

// It stays to be waited for.
bool has_ended(pid_t pid) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid == pid;
}

}  // namespace

SandboxResult run_sandboxed(const std::vector<std::string> & argv, const std::string & input,
                            const SandboxLimits & limits) {
    std::vector<sock_filter> filter = compute_only_filter();
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    const ReadOnlyView view(limits.readable);
    std::optional<PathGuard> guard;
    if (limits.hides_paths) guard.emplace(limits.readable);
    std::vector<char *> args;
    for (const std::string & arg : argv)
        args.push_back(const_cast<char *>(arg.c_str()));
    args.push_back(nullptr);
    std::array<char, 15> locale{"LC_ALL=C.UTF-8"};
    std::array<char *, 2> environment{locale.data(), nullptr};

    const Descriptor in = input_file(input);
    auto [out, out_write] = make_pipe();
    auto [err, err_write] = make_pipe();
    const auto cpu_s = static_cast<rlim_t>(limits.time.count() / 1000 + 1);
    const pid_t pid = start({args.data(), environment.data(), in.fd(), out_write.fd(), err_write.fd(), &program, &view,
                             guard ? &*guard : nullptr, limits.memory_bytes, cpu_s, ::getpid()},
                            guard ? &*guard : nullptr, argv.at(0));
    out_write.reset();
    err_write.reset();

    SandboxResult result;
    const auto deadline = Clock::now() + limits.time;
    while (out.fd() >= 0 || err.fd() >= 0) {
        std::array<pollfd, 2> ends{{{out.fd(), POLLIN, 0}, {err.fd(), POLLIN, 0}}};
        ::poll(ends.data(), ends.size(), POLL_MS);
        if (ends[0].revents != 0) drain(out, result.out);
        if (ends[1].revents != 0) drain(err, result.err);
        result.timed_out = Clock::now() > deadline;
        result.too_much_output = result.out.size() + result.err.size() > limits.output_bytes;
        if (result.timed_out || result.too_much_output || interrupted()) break;
    }
    // Closing its outputs does not end a program: it may go on computing.
    while (!result.timed_out && !result.too_much_output && !interrupted() && !has_ended(pid)) {
        ::poll(nullptr, 0, POLL_MS);
        result.timed_out = Clock::now() > deadline;
    }
    ::kill(pid, SIGKILL);
    result.exit_code = wait_exit_code(pid);
    check_interrupted();
    return result;
}

}  // namespace shimmy::check
