// From --model to a file: on this machine, or on the Hub.
#pragma once

#include "cli/command.h"
#include "hub/download/pull.h"

#include <string>

namespace shimmy::cli {

// A file, a name from `shimmy list`, or "hf:USER/NAME[:QUANT]", which is downloaded unless the cache has it. Of a split
// model its first part. Throws Error.
fs::path model_file(const std::string & file_or_name, const Globals & globals);

// hub::pull_model() with a bar on stderr unless `quiet`.
hub::PulledModel pull_with_progress(const std::string & name, bool quiet);

}  // namespace shimmy::cli
