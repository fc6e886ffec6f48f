// llama.cpp's Jinja engine, strict: what does not exist is an error, which says in which line.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <functional>
#include <string>

namespace shimmy::report {

// Where the template of a name lies; throws Error if there is none.
using FindTemplate = std::function<fs::path(const std::string & name)>;

// The text that the template makes of the values; Templates::render has the rules. A line break at its end stays.
std::string render_jinja(const FindTemplate & find, const std::string & name, const Json & values);

}  // namespace shimmy::report
