#include "engine/layout/file_layout.h"

#include "base/error.h"
#include "base/text/units.h"
#include "engine/layout/tensor_types.h"

#include "ggml-cpp.h"

#include <sys/mman.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace shimmy::engine {

FileLayout lay_out(gguf_context * metadata, const TensorPlan & plan) {
    const ggml_context_ptr context(
        ggml_init({ggml_tensor_overhead() * (plan.tensors.size() + 1), nullptr, /*no_alloc=*/true}));
    for (const PlannedTensor & tensor : plan.tensors) {
        ggml_tensor * handle = ggml_new_tensor(context.get(), tensor_type_named(tensor.type),
                                               static_cast<int>(tensor.shape.size()), tensor.shape.data());
        ggml_set_name(handle, tensor.name.c_str());
        gguf_add_tensor(metadata, handle);
    }
    FileLayout layout;
    layout.header.resize(gguf_get_meta_size(metadata));
    gguf_get_meta_data(metadata, layout.header.data());
    layout.total_bytes = layout.header.size();
    for (size_t i = 0; i < plan.tensors.size(); ++i) {
        layout.offset_bytes.push_back(layout.header.size() + gguf_get_tensor_offset(metadata, static_cast<int64_t>(i)));
        const uint64_t end = layout.offset_bytes.back() + plan.tensors[i].bytes;
        layout.total_bytes = (end + GGUF_DEFAULT_ALIGNMENT - 1) / GGUF_DEFAULT_ALIGNMENT * GGUF_DEFAULT_ALIGNMENT;
    }
    return layout;
}

HollowFile::HollowFile(const FileLayout & layout) : fd_(::memfd_create("shimmy-plan", MFD_CLOEXEC)) {
    const auto n_bytes = static_cast<ssize_t>(layout.header.size());
    const bool written = fd_ >= 0 && ::pwrite(fd_, layout.header.data(), layout.header.size(), 0) == n_bytes &&
                         ::ftruncate(fd_, static_cast<off_t>(layout.total_bytes)) == 0;
    if (!written) {
        const int error = errno;
        if (fd_ >= 0) ::close(fd_);
        fail("an empty stand-in for the model ({} long) cannot be made in memory: {}", format_bytes(layout.total_bytes),
             std::strerror(error));
    }
    path_ = fmt::format("/proc/self/fd/{}", fd_);
}

HollowFile::~HollowFile() {
    ::close(fd_);
}

}  // namespace shimmy::engine
