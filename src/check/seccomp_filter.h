// Internal to check: the system calls that untrusted code may make.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace shimmy::check {

// A filter program for seccomp(2). Throws Error if it cannot be made.
std::vector<sock_filter> compute_only_filter();

}  // namespace shimmy::check
