// Internal to check: which files untrusted code may read.
#pragma once

#include <filesystem>
#include <vector>

namespace shimmy::check {

// A Landlock ruleset that allows reading and executing below some paths and nothing else of the file system.
class ReadOnlyView {
public:
    // Paths that do not exist are skipped. Where the kernel has no Landlock, the view is empty and limits nothing.
    explicit ReadOnlyView(const std::vector<std::filesystem::path> & readable);
    ~ReadOnlyView();
    ReadOnlyView(const ReadOnlyView &) = delete;
    ReadOnlyView & operator=(const ReadOnlyView &) = delete;

    // Limits the calling process and what it starts, for good; it must have given up new privileges. Safe between fork
    // and exec. False with errno set if that failed.
    bool apply() const;

    static bool is_supported();

private:
    int ruleset_ = -1;
};

}  // namespace shimmy::check
