// Files whose weights a program has mapped. Reading a page of a mapping that its file no longer has ends the process,
// so a file that became shorter must be noticed before.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "model_file.h"

struct ggml_backend_buffer;

namespace moe {

class MappedFiles {
public:
    static MappedFiles & instance();

    void mapped(const ggml_backend_buffer * buffer, const void * base);
    void forget(const ggml_backend_buffer * buffer);

    // Throws std::runtime_error that names a file which is shorter than when it was mapped. A call of the kernel for
    // each file, so it is cheap enough for every graph.
    void require_whole();

private:
    MappedFiles() = default;

    std::mutex mutex_;
    std::map<const ggml_backend_buffer *, std::shared_ptr<ModelFile>> files_;
};

}  // namespace moe
