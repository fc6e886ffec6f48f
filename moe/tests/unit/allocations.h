// Counts what this program takes from operator new.
#pragma once

#include <cstddef>

namespace moe_test {

size_t allocations();

}  // namespace moe_test
