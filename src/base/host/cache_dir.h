// Where the program keeps what it can make again.
#pragma once

#include <filesystem>

namespace shimmy {

// SHIMMY_CACHE, else `shimmy` in XDG_CACHE_HOME or in ~/.cache, as the set-up scripts choose it. Empty if there is not
// even a home. Nothing is made.
std::filesystem::path cache_dir();

}  // namespace shimmy
