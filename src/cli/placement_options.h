// Options that several commands take, each on the commands that use it: where models are looked for, what computes,
// where the weights go, and how large the context is.
#pragma once

#include "cli/globals.h"
#include "engine/load/load_options.h"
#include "engine/load/placement.h"

#include <CLI/CLI.hpp>

namespace shimmy::cli {

// --model-dirs.
void add_model_dirs_option(CLI::App & command, Globals & globals);

// --gpu-backend, --moe-backend and --rpc, or one of them.
void add_backend_options(CLI::App & command, Globals & globals);
void add_gpu_backend_option(CLI::App & command, Globals & globals);
void add_moe_backend_option(CLI::App & command, Globals & globals);

// What a command does without a placement option.
enum class DefaultPlacement { automatic, gpu };

// --placement, --cpu-moe, --n-cpu-moe and --moe-cache; where it is chosen, --vram too.
void add_placement_options(CLI::App & command, Globals & globals, DefaultPlacement fallback);

void add_moe_cache_option(CLI::App & command, Globals & globals);

// --placement, --cpu-moe and --n-cpu-moe, not shown, for a command that says itself why it takes none.
void add_refused_placement_options(CLI::App & command, Globals & globals);

// --ctx, --threads, --no-warmup and --device. `load` must live as long as the command.
void add_load_options(CLI::App & command, engine::LoadOptions & load);

// --batch and --ubatch.
void add_batch_options(CLI::App & command, engine::LoadOptions & load);

// --parallel.
void add_parallel_option(CLI::App & command, engine::LoadOptions & load);

// The placement that --placement, --cpu-moe or --n-cpu-moe asks for.
engine::Placement placement_option(const Globals & globals, DefaultPlacement fallback = DefaultPlacement::gpu);

// --vram, as LoadOptions::vram_limit_bytes.
std::vector<uint64_t> vram_option(const Globals & globals);

// Whether --moe-cache is a size.
bool names_cache_size(const Globals & globals);

// Throws UsageError for a cache beside --moe-backend off, which leaves out what would have it.
void require_moe_backend_for_cache(const Globals & globals);

// What --moe-cache says, or means beside --n-cpu-moe.
std::string moe_cache_option(const Globals & globals);

// A size in memory. A small number without a unit is refused: "8" is hardly meant as 8 bytes. Throws UsageError.
uint64_t parse_memory_size(const std::string & text, const std::string & what);

// Loads the GPU modules and the moe backend as the options say; call before a model is loaded. Returns whether the moe
// backend is in use.
bool load_backends(const Globals & globals, const std::string & device);

// All of them, hidden, for the program itself: they may also stand before the command's name, as long as the command
// takes them.
void add_hidden_shared_options(CLI::App & app, Globals & globals);

// Shows the hidden ones. CLI11 leaves their names out of its errors; parsed again, an error names its option.
void show_hidden_options(CLI::App & app);

// Throws UsageError for one of those that `command` does not take.
void require_taken(const CLI::App & app, const CLI::App & command);

}  // namespace shimmy::cli
