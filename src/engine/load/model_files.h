// Files of a loaded model whose weights are mapped: reading a page that cannot be read ends the process, so a file that
// became shorter must be noticed before, and its mappings be watched.
#pragma once

#include "engine/load/read_faults.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace shimmy::engine {

class ModelFiles {
public:
    ModelFiles() = default;  // of a model that was copied: whatever happens to its files is no concern of it
    explicit ModelFiles(const std::vector<std::filesystem::path> & paths);

    // Of a model that is loaded, and lives as long as this.
    void find_mappings();

    // Throws Error that names a file which is shorter than when this was made, and what to do. A call of the kernel for
    // each file: cheap enough for every batch.
    void require_whole() const;
    // While it lives, a page that cannot be read ends no process; what was computed is wrong then.
    class Watch {
    public:
        explicit Watch(const ModelFiles & files);
        ~Watch();
        Watch(const Watch &) = delete;
        Watch & operator=(const Watch &) = delete;

    private:
        const ModelFiles & files_;
    };
    // Throws Error that names a file of which a page could not be read in a Watch, and what to do.
    void require_read() const;

private:
    struct File {
        std::filesystem::path path;
        dev_t device = 0;
        ino_t inode = 0;
        uint64_t bytes = 0;
        Mappings mappings = {};
    };
    std::vector<File> files_;
};

}  // namespace shimmy::engine
