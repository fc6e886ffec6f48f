// The figures of a load test, as people read them.
#pragma once

#include "base/json.h"

#include <string>

namespace shimmy::cli {

std::string load_text(const Json & load);
std::string sweep_text(const Json & sweep);

}  // namespace shimmy::cli
