// Links of a folder's documents to its files.
#pragma once

#include "base/files.h"

#include <string>
#include <vector>

namespace shimmy::report {

// Of the .md files in the folder itself: targets that lie nowhere in it, as "whitepaper.md: results/…". Links
// with a scheme, and within a page, are left out.
std::vector<std::string> broken_links(const fs::path & dir);

}  // namespace shimmy::report
