#include "base/process/spawn.h"

#include "base/error.h"
#include "base/process/uninterrupted.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace shimmy {

namespace {

// In the child: only what is safe between fork and exec. Returns on failure, with errno set.
void become(char * const * args, int out_fd, int err_fd, pid_t parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
    if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
    const int null = ::open("/dev/null", O_RDONLY);
    if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(out_fd, STDOUT_FILENO) < 0 ||
        ::dup2(err_fd, STDERR_FILENO) < 0)
        return;
    ::execvp(args[0], args);
}

}  // namespace

pid_t spawn(const std::vector<std::string> & argv, int out_fd, int err_fd) {
    std::vector<char *> args;
    for (const std::string & arg : argv)
        args.push_back(const_cast<char *>(arg.c_str()));
    args.push_back(nullptr);
    std::array<int, 2> failure{};  // closed by exec, or carries errno
    if (::pipe2(failure.data(), O_CLOEXEC) != 0) fail("pipe: {}", std::strerror(errno));
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
        become(args.data(), out_fd, err_fd, parent);
        const int error = errno;
        [[maybe_unused]] const ssize_t told = ::write(failure[1], &error, sizeof(error));
        ::_exit(127);
    }
    ::close(failure[1]);
    int error = pid < 0 ? errno : 0;
    if (pid > 0) uninterrupted([&] { return ::read(failure[0], &error, sizeof(error)); });
    ::close(failure[0]);
    if (error == 0) return pid;
    if (pid > 0) wait_exit_code(pid);
    fail("{}: cannot be started: {}", argv[0], std::strerror(error));
}

namespace {

int exit_code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_EXIT + WTERMSIG(status);
}

}  // namespace

bool try_wait(pid_t pid, int & exit_code) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != pid) return false;
    exit_code = exit_code_of(status);
    return true;
}

int wait_exit_code(pid_t pid) {
    int status = 0;
    uninterrupted([&] { return ::waitpid(pid, &status, 0); });
    return exit_code_of(status);
}

}  // namespace shimmy
