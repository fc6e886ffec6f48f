#include "base/host/cache_dir.h"

#include <cstdlib>

namespace shimmy {

namespace {

std::filesystem::path variable(const char * name) {
    const char * value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

std::filesystem::path cache_dir() {
    if (const auto own = variable("SHIMMY_CACHE"); !own.empty()) return own;
    if (const auto caches = variable("XDG_CACHE_HOME"); !caches.empty()) return caches / "shimmy";
    const auto home = variable("HOME");
    return home.empty() ? home : home / ".cache" / "shimmy";
}

}  // namespace shimmy
