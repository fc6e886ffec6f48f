// Modules: ggml backends in libraries of their own, beside the libggml-base that they share with the program.
#pragma once

#include "base/files.h"

#include <string>
#include <vector>

namespace shimmy::engine {

// The file of a backend's module ("vulkan", "moe"), whether or not it is there.
fs::path module_file(const std::string & backend);

// False if it cannot be loaded; then it is the last of failed_modules().
bool load_module(const fs::path & file);

// Packages have ggml's CPU code as modules, one for each kind of processor: loads the best that this one can run.
// Nothing to do where the code is part of the program. Throws Error if there is none for this processor.
void load_cpu_module();

// A module that is there but could not be loaded, and why ("libcudart.so.13: cannot open shared object file").
struct FailedModule {
    std::string file;
    std::string reason;
};
const std::vector<FailedModule> & failed_modules();

}  // namespace shimmy::engine
