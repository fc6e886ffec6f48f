// Internal to check: which paths untrusted code may ask about.
#pragma once

#include "base/process/descriptor.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <filesystem>
#include <thread>
#include <vector>

namespace shimmy::check {

// Landlock hides what files hold, not that they are there: stat, access and a failed open tell. So the kernel asks this
// process about every system call of the child that names a path, and one outside `readable` is refused with EPERM,
// whether it exists or not. The answer cannot be outrun: the child has one thread, shares no memory that can be
// written, and is stopped in the call meanwhile.
class PathGuard {
public:
    // Paths that do not exist are skipped. Throws Error if this kernel cannot do it.
    explicit PathGuard(const std::vector<std::filesystem::path> & readable);
    ~PathGuard();
    PathGuard(const PathGuard &) = delete;
    PathGuard & operator=(const PathGuard &) = delete;

    // In the child, which must have given up new privileges: its calls are guarded from here on. Safe between fork and
    // exec. False with errno set if that failed.
    bool apply() const;

    // In the parent, once the child is there: answers in a thread of its own until the child or this ends.
    void answer();

private:
    void run();
    void answer_one(int listener) const;
    bool is_allowed(const seccomp_notif & call) const;
    bool is_readable(const std::filesystem::path & path, bool follows_link) const;

    std::vector<std::filesystem::path> readable_;  // as they are named, and where links of theirs lead
    std::vector<sock_filter> filter_;
    Descriptor child_end_;   // sends the kernel's descriptor for the questions
    Descriptor parent_end_;  // takes it
    Descriptor stop_;        // an event
    std::thread thread_;
};

}  // namespace shimmy::check
