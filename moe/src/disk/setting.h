// What the environment says about experts in RAM.
#pragma once

#include <cstddef>
#include <string>

namespace moe {

struct RamSetting {
    enum Kind { Auto, On, Off, Size } kind = Auto;
    size_t bytes = 0;  // of Size
};

// "auto", "on" (as auto, even if the model fits), "off", or a size as in GGML_MOE_CACHE. False if it is none of these.
bool parse_ram_setting(const std::string & text, RamSetting & setting);

// GGML_MOE_RAM; auto if it is not set, and, with a warning, if it cannot be understood.
RamSetting ram_setting();

}  // namespace moe
