#include "base/text/units.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

namespace shimmy {

namespace {

// A longer unit stands before those that it begins like.
constexpr std::array<std::pair<std::string_view, double>, 7> DURATION_UNITS{
    {{"ms", 1.0}, {"us", 1e-3}, {"\u00b5s", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}}};

}  // namespace

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

std::optional<double> parse_duration_ms(std::string_view text) {
    double sign = 1.0;
    if (text.starts_with('-') || text.starts_with('+')) {
        sign = text.front() == '-' ? -1.0 : 1.0;
        text.remove_prefix(1);
    }
    if (text == "0") return 0.0;
    if (text.empty()) return std::nullopt;
    double sum = 0.0;
    while (!text.empty()) {
        const size_t n_digits = std::min(text.find_first_not_of("0123456789."), text.size());
        const std::string number(text.substr(0, n_digits));
        char * end = nullptr;
        const double count = std::strtod(number.c_str(), &end);
        if (number.empty() || *end != '\0' || number == ".") return std::nullopt;
        text.remove_prefix(n_digits);
        double unit_ms = 0.0;
        for (const auto & [unit, ms] : DURATION_UNITS) {
            if (unit_ms != 0.0 || !text.starts_with(unit)) continue;
            unit_ms = ms;
            text.remove_prefix(unit.size());
        }
        if (unit_ms == 0.0) return std::nullopt;
        sum += count * unit_ms;
    }
    return sign * sum;
}

}  // namespace shimmy
