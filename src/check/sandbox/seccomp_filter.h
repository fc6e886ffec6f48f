// Internal to check: the system calls that untrusted code may make.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace shimmy::check {

// Filter programs for seccomp(2). Throw Error if they cannot be made.
std::vector<sock_filter> compute_only_filter();

// Asks whoever listens (SECCOMP_RET_USER_NOTIF) about these calls, and lets all others pass.
std::vector<sock_filter> asking_filter(const std::vector<const char *> & calls);

}  // namespace shimmy::check
