// A GPU beside us: which batches llama.cpp should rather stream to it.
#pragma once

#include "ggml-backend.h"

namespace moe {

// Whether llama.cpp will compute this operation on a GPU, to which it uploads the weights, and is expected to be faster
// at it than this library. Only expert products of many tokens, and what adds their biases, are worth an upload.
//
// llama.cpp offers an operation with weights in host memory to a GPU only if no other device but the CPU claims it. It
// asks about the graphs that it runs; while it loads a model it asks about products of inputs, which stay ours. Nothing
// is left to llama.cpp unless a GPU of this graph has said that it will take it: the CPU backend would be slower than
// we.
bool is_for_gpu(const ggml_tensor * op);

// Remembers which GPU computes the layer around an expert product, so that its experts can be cached there, and returns
// it; null if there is none.
ggml_backend_dev_t note_gpu(const ggml_tensor * op);

// From how many tokens on uploading `weight_bytes` is faster than `macs_per_token` multiply-accumulates for each here.
double least_batch(double weight_bytes, double bytes_per_s, double macs_per_token, double macs_per_s);

}  // namespace moe
