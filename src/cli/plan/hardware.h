// `shimmy plan --hardware`: which placement of each reference model fits which card.
#pragma once

#include "engine/load/load_options.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::cli {

// What `shimmy plan` shows unless it is told.
inline constexpr std::array QUANTIZATIONS{"Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16"};

struct HardwareOptions {
    engine::LoadOptions load;  // device and context
    bool exact = false;
    std::string device_name;
    std::vector<std::string> shapes{"phi-3.5-moe", "gpt-oss-20b", "deepseek-moe-16b"};
    std::optional<uint64_t> vram_reserve_bytes = {};  // of every card; none: engine::margin_bytes()
    uint64_t ram_limit_bytes = 0;                     // 0: the guide says what RAM is needed and limits nothing
};

int print_hardware_guide(const HardwareOptions & options, bool json);

}  // namespace shimmy::cli
