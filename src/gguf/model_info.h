// A model as a person checks it: what it is, how large, what its experts weigh. From metadata and tensor table alone.
#pragma once

#include "gguf/gguf_file.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace shimmy::gguf {

struct TypeUse {
    std::string type;  // "Q4_K"
    uint64_t n_tensors = 0;
    uint64_t bytes = 0;
};

// Numbers that the file does not give are 0. Where a value differs between layers, it is the largest.
struct ModelInfo {
    std::string name;  // general.name, else the file's stem
    std::string arch;  // "phimoe"
    std::string description;
    std::string quantization;   // of general.file_type: "Q4_K_M"; else the type that most bytes have
    std::string dominant_type;  // tensor type that most bytes have: "Q4_K"
    uint64_t size_bytes = 0;    // on disk, all parts
    uint64_t tensor_bytes = 0;
    double bits_per_weight = 0.0;  // tensor_bytes over parameters

    // Parameters: elements of every tensor, embeddings included. Active: those that one token's pass reads, i.e. all
    // but the routed experts that the router does not choose: an expert tensor counts n_expert_used / n_expert of
    // its elements. (Of the token embedding a pass reads one row; it is counted whole, as published figures do.)
    uint64_t n_params = 0;
    uint64_t n_active_params = 0;
    // Bytes of weights that decoding one token reads: of the experts the chosen ones, of the token embedding one row
    // unless it is the output matrix too.
    uint64_t bytes_per_token = 0;

    int64_t n_layers = 0;
    int64_t n_layers_dense_lead = 0;  // first layers without experts
    // Last layers that predict further tokens (MTP). llama.cpp does not load them for ordinary use: what is active,
    // read per token or moved by --cpu-moe does not count them.
    int64_t n_layers_nextn = 0;
    int64_t n_ctx_train = 0;  // context length
    int64_t n_embd = 0;
    int64_t n_ff = 0;      // of dense layers; 0 if all have experts
    int64_t n_ff_exp = 0;  // of one expert
    int64_t n_head = 0;
    int64_t n_head_kv = 0;
    int64_t head_size = 0;
    int64_t n_vocab = 0;
    int64_t n_expert = 0;
    int64_t n_expert_used = 0;
    int64_t n_expert_shared = 0;
    int64_t n_swa = 0;  // sliding window of attention, tokens

    // Routed experts. A tensor holds one matrix of every expert of a layer; biases are counted apart.
    uint64_t n_expert_tensors = 0;
    uint64_t n_expert_bias_tensors = 0;
    uint64_t expert_bytes = 0;                     // what --cpu-moe moves: matrices and biases
    std::vector<uint64_t> expert_bytes_per_layer;  // n_layers values
    bool cpu_moe_applies() const { return n_expert_tensors > 0; }

    std::vector<std::string> languages;  // general.languages, as the file has them
    std::vector<TypeUse> types;          // most bytes first
    uint64_t n_tensors = 0;
    std::string tokenizer;      // tokenizer.ggml.model: "llama", "gpt2"
    std::string chat_template;  // Jinja source; empty: none
    std::vector<std::filesystem::path> shards;
};

// Throws Error as GgufFile does, and for values no model can have (these would end llama.cpp by an assertion).
ModelInfo read_model_info(const GgufFile & file);
ModelInfo read_model_info(const std::filesystem::path & path);

}  // namespace shimmy::gguf
