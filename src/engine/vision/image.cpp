#include "engine/vision/image.h"

#include "base/error.h"
#include "engine/vision/image_size.h"

namespace shimmy::engine {

Image read_image(const fs::path & file) {
    if (fs::is_directory(file)) fail("{}: is a folder, no picture", file.string());
    Image image{file.string(), std::make_shared<std::string>(read_file(file))};
    const auto size = image_size(*image.bytes);
    if (!size) fail("{}: is no picture that can be read here: PNG, JPEG, GIF and BMP can", file.string());
    if (static_cast<uint64_t>(size->width) * static_cast<uint64_t>(size->height) > MAX_PIXELS)
        fail("{}: {} x {} pixels are too many: make it smaller ({} million pixels at most)", file.string(), size->width,
             size->height, MAX_PIXELS / 1'000'000);
    return image;
}

}  // namespace shimmy::engine
