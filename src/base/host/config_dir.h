// Where the program keeps what a user decided or measured, and what it cannot make again by itself.
#pragma once

#include <filesystem>

namespace shimmy {

// `shimmy` in XDG_CONFIG_HOME or in ~/.config. Empty if there is not even a home. Nothing is made.
std::filesystem::path config_dir();

}  // namespace shimmy
