// The document of `shimmy quality --json`, as a campaign keeps it.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <string>

namespace shimmy::lab {

// The program calls a file by the type of most of its tensors. In a campaign a mix has a name of its own: what is said
// of its file, wherever that lay, gets it.
void name_mix(Json & document, const fs::path & file, const std::string & mix);

}  // namespace shimmy::lab
