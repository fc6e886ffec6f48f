// Models as the server knows them: those that requests may name, how each is loaded, and what is known of one that is.
#pragma once

#include "base/files.h"
#include "engine/bench/choose_speculation.h"
#include "engine/device/device.h"
#include "engine/load/memory.h"
#include "engine/run/model.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shimmy::serve {

// Modules that a model's process loads, as in the command line's options.
struct Backends {
    std::string gpu = "auto";
    std::string moe = "auto";
    std::string moe_cache = "auto";  // as in GGML_MOE_CACHE
    std::string rpc_servers;
    std::optional<int> moe_gpu_min_batch{};  // as in GGML_MOE_GPU_MIN_BATCH; nullopt: measured
};

// How a model is loaded, and for how long.
struct ModelOptions {
    engine::LoadOptions load;  // without a path; n_ctx is that of one request
    Backends backends;
    bool embeddings = false;    // for /v1/embeddings
    std::string pooling;        // of a text's embeddings: "mean", "cls", "last", "none"; empty: as the model says
    std::string chat_template;  // Jinja; empty: the model's own
    std::string expert_trace;   // file for the router's choices, or empty
    int verbosity = 0;          // of llama.cpp's log, as in engine/llama/log.h
    std::chrono::seconds stall_limit{30};                 // a process without progress for so long is ended
    std::optional<std::chrono::milliseconds> keep_alive;  // after its last use; nullopt: for ever
};

// A model that requests may name.
struct ServedModel {
    std::string name;
    fs::path path;       // of a split model, its first part
    std::string source;  // where it was found: "huggingface"; "argument" if it was named
    std::string arch;
    std::string quantization;
    uint64_t size_bytes = 0;
    uint64_t n_params = 0;
    bool has_experts = false;
    ModelOptions options;
    std::vector<std::string> aliases;  // other names that requests may use, normalized as `name` is
    bool loads_at_start = false;       // otherwise when it is first asked for
    bool is_pinned = false;            // not unloaded to make room for another
};

// Where the experts of one layer lie.
struct LayerExperts {
    int layer = 0;
    std::set<std::string> buffer_types;  // "CPU_Mapped", "MoE", "CUDA0"
    uint64_t bytes = 0;
    uint64_t host_bytes = 0;
};

// What is known of a model that is loaded.
struct Loaded {
    engine::PlacementChoice placement;
    engine::Device device;
    int n_threads = 0;
    uint32_t n_parallel = 1;  // requests at once
    uint32_t n_ctx = 0;       // of one request
    double load_ms = 0.0;
    engine::ChosenSpeculation speculation;
    bool has_chat_template = false;
    bool takes_images = false;  // as its projector does
    bool takes_audio = false;
    engine::MemoryUse memory;
    uint64_t expert_ram_bytes = 0;
    uint64_t host_bytes_per_token = 0;           // of weights in RAM that decoding one token reads
    std::vector<LayerExperts> experts;           // by layer
    bool moe_backend = false;                    // libggml-moe is in use
    std::vector<engine::Device> devices_before;  // with the memory that was free before the load
};

}  // namespace shimmy::serve
