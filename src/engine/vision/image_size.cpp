#include "engine/vision/image_size.h"

#include <limits>

// llama.cpp's copy has no name outside of it.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#include <stb/stb_image.h>

namespace shimmy::engine {

std::optional<ImageSize> image_size(std::string_view bytes) {
    if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return std::nullopt;
    const auto * data = reinterpret_cast<const stbi_uc *>(bytes.data());
    ImageSize size;
    int n_channels = 0;
    if (stbi_info_from_memory(data, static_cast<int>(bytes.size()), &size.width, &size.height, &n_channels) == 0)
        return std::nullopt;
    return size;
}

}  // namespace shimmy::engine
