#include "setting.h"

#include <cstdlib>

#include "ggml/log.h"
#include "ggml/size.h"

namespace moe {

bool parse_ram_setting(const std::string & text, RamSetting & setting) {
    if (text == "auto" || text == "on" || text == "off") {
        setting = {text == "auto" ? RamSetting::Auto : text == "on" ? RamSetting::On : RamSetting::Off, 0};
        return true;
    }
    size_t bytes = 0;
    if (!parse_size(text, bytes)) return false;
    setting = {bytes > 0 ? RamSetting::Size : RamSetting::Off, bytes};
    return true;
}

RamSetting ram_setting() {
    RamSetting setting;
    const char * text = std::getenv("GGML_MOE_RAM");
    if (text == nullptr || *text == '\0' || parse_ram_setting(text, setting)) return setting;
    log_warn("GGML_MOE_RAM=%s is none of auto, on, off or a size; auto is assumed\n", text);
    return setting;
}

}  // namespace moe
