// The program on a disk that cannot take what it writes.
#pragma once

#include "program.h"
#include "temp_dir.h"

#include <fmt/format.h>

namespace shimmy::e2e {

// Shell commands that make the disk of the current folder so.
inline constexpr const char * FULL_DISK = "{ dd if=/dev/zero of=fill bs=4k 2>/dev/null; true; }";
inline constexpr const char * READ_ONLY_DISK = "mount -o remount,ro .";

// Runs the program where `dir` is a small file system of its own, prepared by a shell command, and says on the last
// lines what it left there.
inline ProcessResult run_on_small_disk(const fs::path & dir, const std::string & prepare,
                                       const std::vector<std::string> & arguments) {
    std::string command =
        fmt::format("mount -t tmpfs -o size=128k tmpfs '{0}' && cd '{0}' && {1} ; cd / ; ", dir.string(), prepare);
    command += "\"$@\"; echo \"exit $?\"; cd '" + dir.string() + "'; for f in *; do echo \"left $f\"; done; cat old";
    std::vector<std::string> argv{"unshare", "-rm", "sh", "-c", command, "sh", SHIMMY_PROGRAM};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_process(argv, RUN_TIMEOUT);
}

inline bool can_mount() {
    const TempDir dir;
    return run_process({"unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", dir.path().string()}).ok();
}

}  // namespace shimmy::e2e
