#include "engine/predict/stand_in.h"

#include "base/error.h"
#include "engine/predict/file_layout.h"
#include "engine/predict/quantization.h"
#include "engine/predict/shape_metadata.h"
#include "engine/predict/tensor_plan.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"

#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace shimmy::engine {

namespace {

fs::path write_hole(const FileLayout & layout) {
    std::string name = (fs::temp_directory_path() / "shimmy-plan-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd < 0) fail("{}: {}", name, std::strerror(errno));
    const auto n_bytes = static_cast<ssize_t>(layout.header.size());
    const bool written = ::pwrite(fd, layout.header.data(), layout.header.size(), 0) == n_bytes &&
                         ::ftruncate(fd, static_cast<off_t>(layout.total_bytes)) == 0;
    const int error = errno;
    ::close(fd);
    if (!written) {
        ::unlink(name.c_str());
        fail("{}: {}: set TMPDIR to a folder on a file system with sparse files", name, std::strerror(error));
    }
    return name;
}

TensorPlan tensors_as_they_are(const gguf::GgufFile & file) {
    TensorPlan plan;
    for (const gguf::TensorInfo & tensor : file.tensors())
        plan.tensors.push_back({tensor.name, tensor.shape, tensor.type, tensor.bytes});
    return plan;
}

}  // namespace

StandIn::StandIn(const fs::path & model, const std::string & quantization) {
    const gguf::GgufFile file(model);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    quantization_ = quantization.empty() ? info.quantization : canonical_quantization(quantization);
    const TensorPlan plan = quantization.empty() ? tensors_as_they_are(file) : plan_tensors(model, quantization);
    const gguf_context_ptr metadata = make_metadata_without_vocabulary(file);
    if (!quantization.empty())
        gguf_set_val_u32(metadata.get(), "general.file_type", static_cast<uint32_t>(quantization_ftype(quantization)));
    const FileLayout layout = lay_out(metadata.get(), plan);
    size_bytes_ = layout.total_bytes;
    path_ = write_hole(layout);
}

StandIn::StandIn(const gguf::Shape & shape, const std::string & quantization) {
    quantization_ = canonical_quantization(quantization.empty() ? shape.quantization : quantization);
    const TensorPlan plan = plan_tensors(shape, quantization_);
    const gguf_context_ptr metadata = make_metadata_without_vocabulary(shape);
    gguf_set_val_str(metadata.get(), "general.name", shape.name.c_str());
    gguf_set_val_u32(metadata.get(), "general.file_type", static_cast<uint32_t>(quantization_ftype(quantization_)));
    const FileLayout layout = lay_out(metadata.get(), plan);
    size_bytes_ = layout.total_bytes;
    path_ = write_hole(layout);
}

StandIn::~StandIn() {
    std::error_code ignored;
    fs::remove(path_, ignored);
}

}  // namespace shimmy::engine
