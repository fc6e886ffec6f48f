// RAM that this process holds.
#pragma once

#include <cstdint>

namespace shimmy {

// Now; 0 where the system does not tell. Mapped pages of models count.
uint64_t rss_bytes();

}  // namespace shimmy
