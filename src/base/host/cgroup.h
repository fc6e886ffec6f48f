// What a container or a service manager lets this process use: Linux control groups, versions 1 and 2.
// Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst, and
// Documentation/scheduler/sched-bwc.rst.
#pragma once

#include "base/files.h"

#include <cstdint>
#include <limits>

namespace shimmy {

struct CgroupLimits {
    uint64_t memory_bytes = std::numeric_limits<uint64_t>::max();     // the tightest limit
    uint64_t available_bytes = std::numeric_limits<uint64_t>::max();  // left of it, page cache not counted as used
    double cpus = std::numeric_limits<double>::infinity();            // quota of CPU time per time: 2.5 CPUs
};

// Of this process's group and all groups above it that are to be seen: in a container, those up to its own.
// `proc_self_cgroup` and `cgroup_dir` for tests.
CgroupLimits cgroup_limits(const fs::path & proc_self_cgroup = "/proc/self/cgroup",
                           const fs::path & cgroup_dir = "/sys/fs/cgroup");

}  // namespace shimmy
