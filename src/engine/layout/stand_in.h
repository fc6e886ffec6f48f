// A model's file without its weights and its vocabulary, as a hole on disk: what llama.cpp's no-allocation load needs
// to tell the memory of a model that was never downloaded or quantized.
#pragma once

#include "base/files.h"
#include "engine/layout/tensor_override.h"
#include "gguf/shape.h"

#include <cstdint>
#include <memory>
#include <string>

namespace shimmy::engine {

class HollowFile;

class StandIn {
public:
    // `quantization`: as llama.cpp's quantizer would make of the model; empty: the file as it is, or the shape's own.
    // `overrides`: of single tensors' types. Throws Error with llama.cpp's reason.
    StandIn(const fs::path & model, const std::string & quantization,
            const std::vector<TensorOverride> & overrides = {});
    StandIn(const gguf::Shape & shape, const std::string & quantization);
    ~StandIn();
    StandIn(const StandIn &) = delete;
    StandIn & operator=(const StandIn &) = delete;

    // For this process, until this object goes. Messages should name the model instead.
    const fs::path & path() const;

    // Bytes of the real model's weights and tensor table; its vocabulary adds some MB to the file.
    uint64_t size_bytes() const { return size_bytes_; }
    const std::string & quantization() const { return quantization_; }

private:
    std::unique_ptr<const HollowFile> file_;
    uint64_t size_bytes_ = 0;
    std::string quantization_;
};

}  // namespace shimmy::engine
