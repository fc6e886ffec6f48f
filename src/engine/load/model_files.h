// Files of a loaded model whose weights are mapped: reading a page that a file no longer has ends the process, so a
// file that became shorter must be noticed before.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace shimmy::engine {

class ModelFiles {
public:
    ModelFiles() = default;  // of a model that was copied: whatever happens to its files is no concern of it
    explicit ModelFiles(const std::vector<std::filesystem::path> & paths);

    // Throws Error that names a file which is shorter than when this was made, and what to do. A call of the kernel for
    // each file: cheap enough for every batch.
    void require_whole() const;

private:
    struct File {
        std::filesystem::path path;
        dev_t device = 0;
        ino_t inode = 0;
        uint64_t bytes = 0;
    };
    std::vector<File> files_;
};

}  // namespace shimmy::engine
