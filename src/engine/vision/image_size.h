// How large a picture will be when it is decoded, from its first bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace shimmy::engine {

inline constexpr uint64_t MAX_PIXELS = 50'000'000;  // that are decoded for one prompt: 150 MB

struct ImageSize {
    int width = 0;
    int height = 0;
};

// Nothing where stb_image, with which llama.cpp decodes pictures, reads none.
std::optional<ImageSize> image_size(std::string_view bytes);

}  // namespace shimmy::engine
