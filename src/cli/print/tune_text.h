// What `shimmy tune` found, for people and as JSON.
#pragma once

#include "base/json.h"
#include "tune/tuner.h"

#include <string>

namespace shimmy::cli {

// "threads: 2 (default) stays; 1 takes 1.61x the time"
std::string heat_text(const tune::Setting & setting, const tune::Heat & heat);

// A line for every value with a bar for the time of a request, by setting.
std::string outcome_text(const tune::Outcome & outcome);

// [{"setting", "kept", "is_default", "worth", "values": [{"value", "options", "median_ms", "samples_ms", "state"}]}];
// `state`: "kept", "worse", "not_apart", "cannot_run" or "not_measured".
Json settings_json(const tune::Outcome & outcome);

}  // namespace shimmy::cli
