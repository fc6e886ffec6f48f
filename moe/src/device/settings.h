// What the environment says about experts in VRAM.
#pragma once

#include <cstddef>
#include <string>

namespace moe {

struct CacheSetting {
    enum Kind { Auto, Off, Size } kind = Auto;
    size_t bytes = 0;  // of Size; of Auto, the most on each GPU, or 0: what is free
};

// "auto", "off", "0", or a size: bytes, or with K, M, G, KiB, MiB, GiB ("4GiB", "512M"; powers of 1024); "auto:SIZE" is
// auto with at most so much of each GPU. False if it is none of these.
bool parse_cache_setting(const std::string & text, CacheSetting & setting);

// GGML_MOE_CACHE; auto if it is not set, and, with a warning, if it cannot be understood.
CacheSetting cache_setting();

}  // namespace moe
