// The tensors of a model under a quantization, as llama.cpp itself decides them: names and shapes from its own model
// code, types from its own quantizer. Nothing here knows an architecture.
#pragma once

#include "engine/predict/tensor_override.h"
#include "gguf/shape.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace shimmy::engine {

struct PlannedTensor {
    std::string name;            // "blk.3.ffn_up_exps.weight"
    std::vector<int64_t> shape;  // ggml's order: shape[0] runs along a row
    std::string type;            // ggml's name: "q4_K"
    uint64_t bytes = 0;

    uint64_t n_elements() const;
};

struct TensorPlan {
    std::vector<PlannedTensor> tensors;  // by layer, then by name, as llama.cpp's quantizer orders them
    uint64_t total_bytes() const;
};

// What `quantize` would make of an existing model without an importance matrix (with one, a few tensors of the smallest
// types may change). `quantization` in any case, as in engine/predict/quantization.h. Throws Error with llama.cpp's
// reason, UsageError for an override that no tensor's name matches.
TensorPlan plan_tensors(const std::filesystem::path & model, const std::string & quantization,
                        const std::vector<TensorOverride> & overrides = {});

// The tensors of a model that does not exist: llama.cpp builds the architecture from `shape`'s metadata alone, without
// memory for weights. Throws Error with llama.cpp's reason (unknown architecture, a missing key).
TensorPlan plan_tensors(const gguf::Shape & shape, const std::string & quantization);

}  // namespace shimmy::engine
