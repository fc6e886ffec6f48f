// Starts a program that does not outlive the thread that started it. run_process() and ChildProcess do more.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace shimmy {

// Added to a signal's number, it is the exit code of a program that the signal ended, as in a shell.
inline constexpr int SIGNAL_EXIT = 128;

// stdin is /dev/null. The kernel kills the child when the calling thread ends, so that a killed `lab run` leaves no
// process that holds a GPU's memory. Throws Error if the program cannot be started.
pid_t spawn(const std::vector<std::string> & argv, int out_fd, int err_fd);

// True if it has ended; `exit_code` as wait_exit_code has it.
bool try_wait(pid_t pid, int & exit_code);

// Waits for the end; SIGNAL_EXIT + signal number if a signal ended it.
int wait_exit_code(pid_t pid);

}  // namespace shimmy
