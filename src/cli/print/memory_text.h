// Where a loaded model lies, as people read it.
#pragma once

#include "cli/globals.h"
#include "engine/run/model.h"

#include <string>

namespace shimmy::cli {

// What was chosen where nobody asked for a placement: one line on stderr, or none.
void print_placement(const engine::PlacementChoice & choice);

// "; Vulkan0 1.02 GiB (model 1.00 GiB, KV 12.0 MiB, compute 8.0 MiB)" for each GPU, or "; no VRAM used".
std::string vram_text(const engine::Model & model);

// What libggml-moe keeps in VRAM and how often it was used; empty where it could keep nothing.
std::string expert_cache_text(const engine::Model & model);

// What libggml-moe reads from disk and how often it was in RAM; empty where it reads nothing.
std::string expert_disk_text();

// That it does so, on stderr.
void print_load_mode();

// On stderr: that a cache was asked for where there can be none.
void warn_of_no_cache(const Globals & globals, const engine::Model & model);

}  // namespace shimmy::cli
