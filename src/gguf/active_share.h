// What of a model one token's pass touches: everything but the experts that the router does not choose.
#pragma once

#include "gguf/gguf_file.h"

#include <cstdint>
#include <vector>

namespace shimmy::gguf {

class ActiveShare {
public:
    explicit ActiveShare(const GgufFile & file);

    // False for layers that predict further tokens, which llama.cpp leaves out: their shares are 0.
    bool is_loaded(const TensorInfo & tensor) const;

    // Of an expert tensor the chosen experts' elements, of any other all. Of a tensor that is one expert's alone the
    // share of tokens that choose it, if all are chosen alike.
    uint64_t elements(const TensorInfo & tensor) const;

    // Bytes that decoding one token reads: of an expert tensor the chosen experts', of the token embedding one row
    // unless it is the output matrix too, of any other all.
    uint64_t bytes(const TensorInfo & tensor) const;

private:
    bool is_of_experts(const TensorInfo & tensor) const;
    uint64_t chosen(const TensorInfo & tensor, uint64_t whole) const;

    std::vector<int64_t> n_used_per_layer_;  // one value: the same in every layer; empty: no experts
    int64_t n_experts_ = 0;
    int64_t n_layers_loaded_ = 0;  // 0: unknown, all
    bool has_output_ = false;
};

}  // namespace shimmy::gguf
