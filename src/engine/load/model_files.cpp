#include "engine/load/model_files.h"

#include "base/error.h"

#include <sys/stat.h>

namespace shimmy::engine {

ModelFiles::ModelFiles(const std::vector<std::filesystem::path> & paths) {
    for (const std::filesystem::path & path : paths) {
        struct stat status {};
        if (::stat(path.c_str(), &status) == 0)
            files_.push_back({path, status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size)});
    }
}

void ModelFiles::find_mappings() {
    for (File & file : files_)
        file.mappings = Mappings(file.path);
}

ModelFiles::Watch::Watch(const ModelFiles & files) : files_(files) {
    for (const File & file : files_.files_)
        file.mappings.watch();
}

ModelFiles::Watch::~Watch() {
    for (const File & file : files_.files_)
        file.mappings.end_watch();
}

void ModelFiles::require_read() const {
    for (const File & file : files_) {
        if (file.mappings.failed())
            fail(
                "{}: could not be read while it is in use: its disk failed, or it became shorter. Load the model again",
                file.path.string());
    }
}

void ModelFiles::require_whole() const {
    require_read();
    for (const File & file : files_) {
        struct stat status {};
        const bool is_same = ::stat(file.path.c_str(), &status) == 0 && status.st_dev == file.device &&
                             status.st_ino == file.inode;  // else it was removed or replaced: what is mapped stays
        const auto left = static_cast<uint64_t>(status.st_size);
        if (is_same && left < file.bytes)
            fail("{}: became shorter while it is in use ({} of {} bytes are left): restore it, or load the model again",
                 file.path.string(), left, file.bytes);
    }
}

}  // namespace shimmy::engine
