// Experts that libggml-moe keeps in VRAM, and how often they were the ones that were needed.
#pragma once

#include "base/json.h"

#include <cstdint>
#include <optional>
#include <string>

struct llama_context;

namespace shimmy::engine {

struct ExpertCache {
    std::string state;      // "14 of 64 experts in VRAM", or why there is none: "off: …"
    uint64_t bytes = 0;     // of VRAM, also counted in MemoryUse
    uint64_t slots = 0;     // experts that there is room for
    uint64_t resident = 0;  // experts that are there
    uint64_t experts = 0;   // of the layers that take part
    // Since the last reset_expert_use():
    uint64_t lookups = 0;  // one per distinct expert of a layer and batch
    uint64_t hits = 0;     // of these, computed on a GPU
    uint64_t uploads = 0;  // experts copied into VRAM
    uint64_t uploaded_bytes = 0;

    bool is_on() const { return slots > 0; }
    std::optional<double> hit_rate() const;  // nullopt: nothing was looked up
};

// Computes a few tokens, until the plugin has decided what it keeps in VRAM, and forgets them: from then on memory is
// what it will be. Does nothing where there is no cache to open.
void open_expert_cache(llama_context * context);

// Of all models of this process; nullopt where libggml-moe is not loaded.
std::optional<ExpertCache> expert_cache();

// The members above; null for nullopt.
Json to_json(const std::optional<ExpertCache> & cache);
std::optional<ExpertCache> expert_cache_from(const Json & document);

}  // namespace shimmy::engine
