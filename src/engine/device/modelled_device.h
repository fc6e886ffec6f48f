// Internal to the engine: a GPU that is not there, for memory estimates on machines without one.
//
// It is a ggml device that states what llama.cpp's CUDA backend states about itself and allocates nothing: so the same
// no-allocation load that is exact for a device that is there places the weights, builds the compute graph and lays out
// its buffers. There are several, for machines with several cards. What it takes over from CUDA (llama.cpp v0.5.0,
// ggml/src/ggml-cuda/ggml-cuda.cu):
//   - tensors are aligned to 128 bytes, and rows of quantized ones padded to 512 values;
//   - every operation can run on it, flash attention included (true of the architectures in shapes/ with the default
//     F16 KV cache);
//   - operations of 32 or more rows on weights in RAM are taken over, so room to upload a layer's experts is reserved.
// What it leaves out: CUDA keeps some tensors alive longer for fused kernels, and takes memory for its own context and
// pools that llama.cpp does not account for (some hundred MiB).
#pragma once

#include "engine/device/device.h"

#include "ggml-backend.h"

namespace shimmy::engine {

// Throws std::out_of_range beyond the last.
ggml_backend_dev_t modelled_cuda_device(size_t card = 0);

}  // namespace shimmy::engine
