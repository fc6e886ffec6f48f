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

// One product with the experts of a layer.
struct ExpertProduct {
    double expert_bytes = 0;  // weights of one expert
    double macs_per_row = 0;  // multiply-accumulates of a token with one expert
    double experts = 1;       // of the layer
    double used = 1;          // by a token
    double cached = 0;        // part of the experts that a cache computes meanwhile
};

// What llama.cpp takes to upload the experts that so many tokens use, if they are routed evenly. The products take a
// GPU no time beside that.
double streaming_seconds(const ExpertProduct & product, double tokens, double upload_bytes_per_s);

// What the product takes here, without what a cache computes. `macs_per_s`: of products with many rows of one matrix.
double computing_seconds(const ExpertProduct & product, double tokens, double macs_per_s);

}  // namespace moe
