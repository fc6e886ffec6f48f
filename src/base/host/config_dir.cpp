#include "base/host/config_dir.h"

#include <cstdlib>

namespace shimmy {

std::filesystem::path config_dir() {
    for (const auto & [name, below] : {std::pair{"XDG_CONFIG_HOME", "shimmy"}, std::pair{"HOME", ".config/shimmy"}}) {
        const char * value = std::getenv(name);
        if (value != nullptr && *value != '\0') return std::filesystem::path(value) / below;
    }
    return "";
}

}  // namespace shimmy
