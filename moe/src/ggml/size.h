// Sizes as people write them.
#pragma once

#include <cstddef>
#include <string>

namespace moe {

// Bytes, or with K, M, G, KiB, MiB, GiB ("4GiB", "512M"; powers of 1024). False if it is no size.
bool parse_size(const std::string & text, size_t & bytes);

}  // namespace moe
