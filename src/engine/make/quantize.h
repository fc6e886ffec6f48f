// Quantization through llama.cpp's own quantizer.
#pragma once

#include "engine/layout/planned_tensors.h"
#include "engine/layout/tensor_override.h"
#include "gguf/gguf_file.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::engine {

struct QuantizeOptions {
    std::filesystem::path input;                    // F32, F16 or BF16 GGUF; of a split model, its first part
    std::filesystem::path output;                   // one file, whatever the input
    std::string type;                               // "Q4_K_M": a name of engine/layout/quantization.h
    std::filesystem::path imatrix;                  // importance matrix (GGUF or the older .dat); empty: none
    int n_threads = 0;                              // 0: one per physical core
    std::vector<TensorOverride> tensor_types = {};  // the first whose pattern matches decides
};

// Throws Error if `input` is not a model that may be quantized: already quantized tensors would lose twice.
void require_quantizable(const std::filesystem::path & input);
bool is_quantizable(const gguf::GgufFile & file);

// Throws what quantize() would throw before it writes: for several files, all are asked for before the first is made.
void require_possible(const QuantizeOptions & options);

// Writes the output whole or not at all; checks free disk first, and the result before it gets its name.
// `on_tensor(done, total)` is called after each tensor and may throw to stop (Ctrl-C is looked at there). Returns the
// tensors that got another type than the quantization wants. Throws Error with llama.cpp's reason, UsageError for a
// pattern that no tensor's name matches.
std::vector<Fallback> quantize(const QuantizeOptions & options,
                               const std::function<void(uint64_t done, uint64_t total)> & on_tensor = {});

}  // namespace shimmy::engine
