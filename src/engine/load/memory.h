// Memory of a loaded model, read from llama.cpp's own accounting.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::engine {

// One buffer type of one device ("Vulkan0", "CPU", "CPU_Mapped").
struct BufferMemory {
    std::string device;  // device name, "CPU" for host buffers
    std::string buffer_type;
    bool host = false;  // in RAM rather than in a GPU's memory
    uint64_t model_bytes = 0;
    uint64_t context_bytes = 0;       // KV cache
    uint64_t compute_bytes = 0;       // scratch of the compute graph
    uint64_t expert_cache_bytes = 0;  // copies of experts whose home is in RAM, kept by libggml-moe

    uint64_t total_bytes() const { return model_bytes + context_bytes + compute_bytes + expert_cache_bytes; }
};

struct MemoryUse {
    std::vector<BufferMemory> buffers;

    // Sums over the buffers on GPUs (VRAM), on the host, and on one GPU.
    BufferMemory vram() const;
    BufferMemory host() const;
    BufferMemory of_device(const std::string & device) const;
};

// Adds the same kinds of bytes, buffer by buffer.
void add(MemoryUse & use, const MemoryUse & more);

// A weight as it lies in the loaded model.
struct TensorPlacement {
    std::string name;         // "blk.3.ffn_up_exps.weight"
    std::string type;         // "q4_K"
    std::string buffer_type;  // "Vulkan0"
    bool host = false;
    uint64_t bytes = 0;
    bool is_expert = false;  // a routed expert's matrix: what --cpu-moe moves
};

// Of the experts that lie in RAM.
uint64_t expert_ram_bytes(const std::vector<TensorPlacement> & tensors);

}  // namespace shimmy::engine
