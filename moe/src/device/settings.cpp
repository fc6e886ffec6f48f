#include "settings.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <mutex>

#include "ggml/log.h"

namespace moe {

bool parse_cache_setting(const std::string & text, CacheSetting & setting) {
    if (text == "auto") {
        setting = {CacheSetting::Auto, 0};
        return true;
    }
    if (text == "off") {
        setting = {CacheSetting::Off, 0};
        return true;
    }
    constexpr size_t kPrefix = 5;  // of "auto:"
    if (text.compare(0, kPrefix, "auto:") == 0) {
        CacheSetting most;
        if (!parse_cache_setting(text.substr(kPrefix), most) || most.kind == CacheSetting::Auto) return false;
        setting = {most.kind == CacheSetting::Off ? CacheSetting::Off : CacheSetting::Auto, most.bytes};
        return true;
    }
    if (text.empty() || text[0] < '0' || text[0] > '9') return false;
    char * end = nullptr;
    double bytes = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    if (unit == "K" || unit == "KiB") {
        bytes *= 1024.0;
    } else if (unit == "M" || unit == "MiB") {
        bytes *= 1024.0 * 1024;
    } else if (unit == "G" || unit == "GiB") {
        bytes *= 1024.0 * 1024 * 1024;
    } else if (!unit.empty() && unit != "B") {
        return false;
    }
    if (!(bytes < static_cast<double>(std::numeric_limits<int64_t>::max()))) return false;
    setting = {bytes >= 1 ? CacheSetting::Size : CacheSetting::Off, static_cast<size_t>(bytes)};
    return true;
}

CacheSetting cache_setting() {
    CacheSetting setting;
    const char * text = std::getenv("GGML_MOE_CACHE");
    if (text == nullptr || *text == '\0' || parse_cache_setting(text, setting)) return setting;
    static std::once_flag once;
    std::call_once(once,
                   [&] { log_warn("GGML_MOE_CACHE=%s is none of auto, off or a size; auto is assumed\n", text); });
    return setting;
}

}  // namespace moe
