#include "engine/predict/file_layout.h"

#include "engine/predict/tensor_types.h"

#include "ggml-cpp.h"

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

}  // namespace shimmy::engine
