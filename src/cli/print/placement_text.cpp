#include "cli/print/placement_text.h"

#include <fmt/format.h>

#include <cstdio>

namespace shimmy::cli {

void print_placement(const engine::PlacementChoice & choice) {
    const std::string text = engine::to_text(choice);
    if (!text.empty()) fmt::print(stderr, "{}\n", text);
}

}  // namespace shimmy::cli
