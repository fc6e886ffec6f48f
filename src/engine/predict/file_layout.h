// Internal to the engine: a GGUF file of planned tensors before its weights are written.
#pragma once

#include "engine/predict/tensor_plan.h"

#include "gguf.h"

#include <cstdint>
#include <vector>

namespace shimmy::engine {

// Header, metadata and tensor table of the file, and where its weights go.
struct FileLayout {
    std::vector<uint8_t> header;         // padded to the alignment: the weights follow
    std::vector<uint64_t> offset_bytes;  // of each planned tensor, from the start of the file
    uint64_t total_bytes = 0;
};

// Adds the tensors to `metadata`.
FileLayout lay_out(gguf_context * metadata, const TensorPlan & plan);

}  // namespace shimmy::engine
