// The shape of a model small enough to write and quantize in a moment.
#pragma once

#include "gguf/gguf_bytes.h"
#include "gguf/shape.h"
#include "temp_dir.h"

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <vector>

namespace shimmy::engine {

// A DeepSeek small enough to quantize in a moment, with every kind of tensor: dense and expert layers, shared experts,
// rows that K-quants fit (256) and rows that they do not (96).
inline gguf::Shape tiny_shape(const TempDir & dir) {
    std::vector<std::string> tokens(512);
    for (size_t i = 0; i < tokens.size(); ++i)
        tokens[i] = fmt::format("token {}", i);
    test::GgufBytes(0, 2)
        .key("tokenizer.ggml.model", "none")
        .key("tokenizer.ggml.tokens", tokens)
        .write(dir / "vocab.gguf");
    std::ofstream(dir / "tiny.toml") << R"(
name = "Tiny"
arch = "deepseek"
quantization = "F16"
vocab = "vocab.gguf"
omit = ['\.attn_[qkv]\.bias$']
[metadata.deepseek]
vocab_size = 512
block_count = 9
leading_dense_block_count = 1
context_length = 1024
embedding_length = 256
feed_forward_length = 512
expert_feed_forward_length = 96
attention.head_count = 4
attention.head_count_kv = 2
attention.layer_norm_rms_epsilon = 1e-6
rope.dimension_count = 64
expert_count = 8
expert_used_count = 2
expert_shared_count = 1
)";
    return gguf::load_shape((dir / "tiny.toml").string());
}

}  // namespace shimmy::engine
