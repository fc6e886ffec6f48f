// The bytes of a GGUF file up to its weights, every one of them treated as hostile.
#pragma once

#include "gguf/metadata.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::gguf {

struct TensorInfo {
    std::string name;            // "blk.3.ffn_up_exps.weight"
    std::string type;            // ggml's name: "q4_K", "f32"
    std::vector<int64_t> shape;  // ggml's order: shape[0] runs along a row, e.g. [n_embd, n_ff, n_expert]
    uint64_t n_elements = 0;
    uint64_t bytes = 0;
    uint64_t offset_bytes = 0;  // from the start of its file
    int shard = 0;              // which part of a split model
};

struct ParsedFile {
    uint32_t version = 0;
    Metadata metadata;  // points into the bytes that were parsed
    std::vector<TensorInfo> tensors;
};

// `bytes` is the whole file, weights included (mapped; they are not touched). Throws Error "FILE: reason" for anything
// that ggml's reader or llama.cpp's loader would refuse. Memory taken is proportional to the header's real size.
ParsedFile parse_gguf(std::span<const std::byte> bytes, const std::string & file_name);

// For a file that is read from its start piece by piece: 0 if `start` holds all up to the weights, else how many bytes
// from the start it takes at least to know more. Throws as parse_gguf does for what can already be seen to be wrong.
uint64_t header_bytes_missing(std::span<const std::byte> start, uint64_t file_bytes, const std::string & file_name);

}  // namespace shimmy::gguf
