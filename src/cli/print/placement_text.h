// What was chosen where nobody asked for a placement.
#pragma once

#include "engine/predict/choose_placement.h"

namespace shimmy::cli {

// One line on stderr, or none.
void print_placement(const engine::PlacementChoice & choice);

}  // namespace shimmy::cli
