// The campaign file that `lab init` writes.
#pragma once

#include "base/files.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// Every key with its default and what it does. `models`: GGUF files or names of reference shapes; none: a small shape,
// so that the file runs as it is. Paths are written relative to where `file` will lie.
std::string campaign_template(const fs::path & file, const std::vector<std::string> & models);

}  // namespace shimmy::lab
