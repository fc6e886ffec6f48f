#include "settings.h"

#include <cstdlib>
#include <mutex>

#include "ggml/log.h"
#include "ggml/size.h"

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
    constexpr size_t PREFIX = 5;  // of "auto:"
    if (text.compare(0, PREFIX, "auto:") == 0) {
        CacheSetting most;
        if (!parse_cache_setting(text.substr(PREFIX), most) || most.kind == CacheSetting::Auto) return false;
        setting = {most.kind == CacheSetting::Off ? CacheSetting::Off : CacheSetting::Auto, most.bytes};
        return true;
    }
    size_t bytes = 0;
    if (!parse_size(text, bytes)) return false;
    setting = {bytes > 0 ? CacheSetting::Size : CacheSetting::Off, bytes};
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
