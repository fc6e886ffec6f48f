#include "engine/layout/stand_in.h"

#include "engine/layout/file_layout.h"
#include "engine/layout/quantization.h"
#include "engine/layout/shape_metadata.h"
#include "engine/layout/tensor_plan.h"
#include "gguf/gguf_file.h"
#include "gguf/model_info.h"
#include "gguf/problems.h"

namespace shimmy::engine {

StandIn::StandIn(const fs::path & model, const std::string & quantization,
                 const std::vector<TensorOverride> & overrides) {
    const gguf::GgufFile file(model);
    gguf::require_usable(file);
    const gguf::ModelInfo info = gguf::read_model_info(file);
    quantization_ = quantization.empty() ? info.quantization : canonical_quantization(quantization);
    const TensorPlan plan =
        quantization.empty() ? tensors_as_they_are(file) : plan_tensors(model, quantization, overrides);
    const gguf_context_ptr metadata = make_metadata_without_vocabulary(file);
    if (!quantization.empty())
        gguf_set_val_u32(metadata.get(), "general.file_type", static_cast<uint32_t>(quantization_ftype(quantization)));
    const FileLayout layout = lay_out(metadata.get(), plan);
    size_bytes_ = layout.total_bytes;
    file_ = std::make_unique<const HollowFile>(layout);
}

StandIn::StandIn(const gguf::Shape & shape, const std::string & quantization) {
    quantization_ = canonical_quantization(quantization.empty() ? shape.quantization : quantization);
    const TensorPlan plan = plan_tensors(shape, quantization_);
    const gguf_context_ptr metadata = make_metadata_without_vocabulary(shape);
    gguf_set_val_str(metadata.get(), "general.name", shape.name.c_str());
    gguf_set_val_u32(metadata.get(), "general.file_type", static_cast<uint32_t>(quantization_ftype(quantization_)));
    const FileLayout layout = lay_out(metadata.get(), plan);
    size_bytes_ = layout.total_bytes;
    file_ = std::make_unique<const HollowFile>(layout);
}

StandIn::~StandIn() = default;

const fs::path & StandIn::path() const {
    return file_->path();
}

}  // namespace shimmy::engine
