// Options of every command that loads a model.
#pragma once

#include "cli/command.h"
#include "engine/model.h"

namespace shimmy::cli {

// The placement that --cpu-moe and --n-cpu-moe ask for.
engine::Placement placement_option(const Globals & globals);

// --ctx, --threads and --device.
void add_load_options(CLI::App & command, engine::LoadOptions & load);

}  // namespace shimmy::cli
