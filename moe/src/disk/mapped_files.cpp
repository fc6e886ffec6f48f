#include "mapped_files.h"

#include <stdexcept>

namespace moe {

MappedFiles & MappedFiles::instance() {
    static MappedFiles & files = *new MappedFiles;  // never destroyed: buffers may be freed while the process ends
    return files;
}

void MappedFiles::mapped(const ggml_backend_buffer * buffer, const void * base) {
    std::shared_ptr<ModelFile> file = ModelFile::at(base);
    if (file == nullptr) return;
    std::lock_guard<std::mutex> lock(mutex_);
    files_[buffer] = std::move(file);
}

void MappedFiles::forget(const ggml_backend_buffer * buffer) {
    std::lock_guard<std::mutex> lock(mutex_);
    files_.erase(buffer);
}

void MappedFiles::require_whole() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto & entry : files_) {
        if (entry.second->became_shorter())
            throw std::runtime_error(entry.second->path() +
                                     " became shorter while it is in use: restore it, or load the model again");
    }
}

}  // namespace moe
