// Bytes and rates as people read them. In JSON everything stays in plain bytes, ms and tokens/s.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shimmy {

inline constexpr uint64_t KIB = uint64_t{1} << 10;
inline constexpr uint64_t MIB = uint64_t{1} << 20;
inline constexpr uint64_t GIB = uint64_t{1} << 30;

// "24.41 GiB", "297.0 MiB", "812 B": the largest of GiB and MiB in which the value is at least one.
std::string format_bytes(uint64_t bytes);

// "41.9B", "13.4M": parameters, in decimal thousands as model names count them.
std::string format_count(uint64_t count);

// "8GiB", "512 MiB", "8GB" (10^9), "1024" (bytes). Throws UsageError naming `what`.
uint64_t parse_bytes(std::string_view text, std::string_view what);

// Durations as Go and Ollama write them: "5m", "1h30m", "500ms", "-1s", "0". In milliseconds; nullopt for other text.
std::optional<double> parse_duration_ms(std::string_view text);

}  // namespace shimmy
