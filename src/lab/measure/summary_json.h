// summary.json.
#pragma once

#include "base/json.h"
#include "lab/measure/summary.h"

namespace shimmy::lab {

// docs/RESULTS.md has every field.
Json to_json(const Summary & summary);

}  // namespace shimmy::lab
