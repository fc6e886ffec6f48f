// A file of models for `shimmy serve`, in TOML: a table for each, with the command's own options as keys.
#pragma once

#include "cli/serve/served_models.h"

namespace shimmy::cli {

// What a table does not say is as in `arguments` and `globals`. Throws UsageError that names the line, Error for a
// model that is not there.
std::vector<serve::ServedModel> models_of_file(const std::string & file, const ModelArguments & arguments,
                                               const Globals & globals);

}  // namespace shimmy::cli
