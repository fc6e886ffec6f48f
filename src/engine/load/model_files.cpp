#include "engine/load/model_files.h"

#include "base/error.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace shimmy::engine {

ModelFiles::ModelFiles(const std::vector<std::filesystem::path> & paths) {
    for (const std::filesystem::path & path : paths) {
        File file{path, Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), 0};
        struct stat status {};
        if (::fstat(file.descriptor.fd(), &status) != 0) continue;  // no descriptor: the file is not watched
        file.bytes = static_cast<uint64_t>(status.st_size);
        files_.push_back(std::move(file));
    }
}

void ModelFiles::require_whole() const {
    for (const File & file : files_) {
        struct stat status {};
        const bool is_known = ::fstat(file.descriptor.fd(), &status) == 0;
        const auto left = static_cast<uint64_t>(status.st_size);
        if (is_known && left < file.bytes)
            fail("{}: became shorter while it is in use ({} of {} bytes are left): restore it, or load the model again",
                 file.path.string(), left, file.bytes);
    }
}

}  // namespace shimmy::engine
