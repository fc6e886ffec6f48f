// The JSON type of the whole program. Keys keep the order they were written in, so documents read well
// and come out byte-identical for the same input.
#pragma once

#include <nlohmann/json.hpp>

namespace shimmy {

using Json = nlohmann::ordered_json;

}  // namespace shimmy
