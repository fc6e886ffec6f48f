// The tensors of a model under a quantization, as llama.cpp itself decides them: names and shapes from its own model
// code, types from its own quantizer. Nothing here knows an architecture.
#pragma once

#include "engine/layout/planned_tensors.h"
#include "engine/layout/tensor_override.h"
#include "gguf/gguf_file.h"
#include "gguf/shape.h"

#include <filesystem>
#include <string>
#include <vector>

namespace shimmy::engine {

// Of a file that is there, in its own types.
TensorPlan tensors_as_they_are(const gguf::GgufFile & file);

// What `quantize` would make of an existing model without an importance matrix (with one, a few tensors of the smallest
// types may change). `quantization` in any case, as in engine/layout/quantization.h. Throws Error with llama.cpp's
// reason, UsageError for an override that no tensor's name matches.
TensorPlan plan_tensors(const std::filesystem::path & model, const std::string & quantization,
                        const std::vector<TensorOverride> & overrides = {});

// The tensors of a model that does not exist: llama.cpp builds the architecture from `shape`'s metadata alone, without
// memory for weights. Throws Error with llama.cpp's reason (unknown architecture, a missing key).
TensorPlan plan_tensors(const gguf::Shape & shape, const std::string & quantization);

}  // namespace shimmy::engine
