// How large a picture will be when it is decoded, from its first bytes.
#pragma once

#include <optional>
#include <string_view>

namespace shimmy::engine {

struct ImageSize {
    int width = 0;
    int height = 0;
};

// Nothing where stb_image, with which llama.cpp decodes pictures, reads none.
std::optional<ImageSize> image_size(std::string_view bytes);

}  // namespace shimmy::engine
