// Which experts did the work, as libggml-moe counted it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct llama_model;

namespace shimmy::engine {

struct ExpertUse {
    int layer = 0;
    int expert = 0;
    uint64_t hits = 0;     // tokens routed to it
    uint64_t bytes = 0;    // of its weights, read for them
    bool in_vram = false;  // a cache holds it now
};

// Since the last reset, ordered by layer and expert, for every layer whose experts libggml-moe computed. nullopt where
// it computed none: it is not loaded, or the experts are on a GPU.
std::optional<std::vector<ExpertUse>> expert_use();

// The same of one model among several that are loaded; empty where libggml-moe computed none of it.
std::vector<ExpertUse> expert_use(const llama_model * model);

// Writes which experts every token chooses to this file from now on. Throws Error if it cannot be written, or
// libggml-moe is not loaded.
void trace_experts(const std::string & file);

// The counters of the cache (expert_cache.h) too.
void reset_expert_use();

}  // namespace shimmy::engine
