// Options of every command that loads a model.
#pragma once

#include "cli/command.h"
#include "engine/load/load_options.h"
#include "engine/load/placement.h"

namespace shimmy::cli {

// The placement that --cpu-moe and --n-cpu-moe ask for.
engine::Placement placement_option(const Globals & globals);

// What --moe-cache says, or means beside --n-cpu-moe.
std::string moe_cache_option(const Globals & globals);

// Loads the GPU modules and the moe backend as the options say; call before a model is loaded. Returns whether the moe
// backend is in use.
bool load_backends(const Globals & globals, const std::string & device);

// --ctx, --threads and --device.
void add_load_options(CLI::App & command, engine::LoadOptions & load);

}  // namespace shimmy::cli
