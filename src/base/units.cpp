#include "base/units.h"

#include "base/error.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

namespace shimmy {

std::string format_bytes(uint64_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (bytes >= GIB) return fmt::format("{:.2f} GiB", value / static_cast<double>(GIB));
    if (bytes >= MIB) return fmt::format("{:.1f} MiB", value / static_cast<double>(MIB));
    if (bytes >= KIB) return fmt::format("{:.1f} KiB", value / static_cast<double>(KIB));
    return fmt::format("{} B", bytes);
}

std::string format_count(uint64_t count) {
    const auto value = static_cast<double>(count);
    if (count >= 1'000'000'000) return fmt::format("{:.1f}B", value / 1e9);
    if (count >= 1'000'000) return fmt::format("{:.1f}M", value / 1e6);
    if (count >= 1'000) return fmt::format("{:.1f}K", value / 1e3);
    return fmt::format("{}", count);
}

uint64_t parse_bytes(std::string_view text, std::string_view what) {
    static constexpr std::array<std::pair<std::string_view, double>, 11> suffixes{{
        {"", 1.0},
        {"b", 1.0},
        {"kib", 0x1p10},
        {"mib", 0x1p20},
        {"gib", 0x1p30},
        {"tib", 0x1p40},
        {"kb", 1e3},
        {"mb", 1e6},
        {"gb", 1e9},
        {"tb", 1e12},
        {"g", 0x1p30},  // as in `-m 8g` of other tools
    }};
    double value = -1.0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    const bool is_number = error == std::errc() && value >= 0.0 && std::isfinite(value);
    std::string suffix;
    for (const char * c = rest; c != text.data() + text.size(); ++c) {
        if (*c != ' ') suffix += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
    }
    for (const auto & [name, factor] : suffixes) {
        const double bytes = value * factor;
        if (is_number && suffix == name && bytes < 0x1p63) {
            return static_cast<uint64_t>(bytes);
        }
    }
    fail_usage("{}: '{}' is not a size (write 8GiB, 512MiB or a number of bytes)", what, text);
}

}  // namespace shimmy
