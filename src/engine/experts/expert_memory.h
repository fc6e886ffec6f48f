// Experts in host memory, as libggml-moe uses them.
#pragma once

#include "base/json.h"

#include <cstdint>
#include <optional>

namespace shimmy::engine {

struct ExpertMemory {
    uint64_t pinned_bytes = 0;  // page-locked, so that a GPU reads them without its driver's detour (GGML_MOE_PIN)
    uint64_t mapped_bytes = 0;  // used where they are mapped, not copied
};

// Of all models of this process; nullopt where libggml-moe is not loaded.
std::optional<ExpertMemory> expert_memory();

// The members above; null for nullopt.
Json to_json(const std::optional<ExpertMemory> & memory);
std::optional<ExpertMemory> expert_memory_from(const Json & document);

}  // namespace shimmy::engine
