// Where the files lie that come with the program.
#pragma once

#include <filesystem>

namespace shimmy {

// Installed, in ../share/shimmy of the program under `installed_name`; in a build tree, in the sources.
std::filesystem::path data_dir(const char * installed_name, const char * source_dir);

}  // namespace shimmy
