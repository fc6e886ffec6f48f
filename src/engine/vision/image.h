// A picture that a model is shown.
#pragma once

#include "base/files.h"

#include <memory>
#include <string>

namespace shimmy::engine {

struct Image {
    std::string file;                          // where it came from
    std::shared_ptr<const std::string> bytes;  // of a PNG, JPEG, GIF or BMP file
};

// Throws Error for what cannot be read, is no picture, or would be too large when it is decoded.
Image read_image(const fs::path & file);

}  // namespace shimmy::engine
