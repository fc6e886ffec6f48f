#include "engine/load/placement.h"

#include "base/error.h"

#include <charconv>
#include <optional>

namespace shimmy::engine {

namespace {

constexpr std::string_view PARTIAL_PREFIX = "n_cpu_moe=";
constexpr std::string_view PARTIAL_PREFIX_TEXT = "n-cpu-moe=";

std::optional<Placement> find_placement(const std::string & text) {
    if (text == "baseline" || text == "gpu") return Placement::baseline();
    if (text == "offload" || text == "cpu-moe") return Placement::offload();
    if (!text.starts_with(PARTIAL_PREFIX) && !text.starts_with(PARTIAL_PREFIX_TEXT)) return std::nullopt;
    int n_layers = -1;
    const char * end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + text.find('=') + 1, end, n_layers);
    if (parsed.ec != std::errc() || parsed.ptr != end || n_layers <= 0) return std::nullopt;
    return Placement::partial(n_layers);
}

}  // namespace

std::string to_string(Placement placement) {
    if (placement.is_automatic) return "auto";
    if (placement == Placement::baseline()) return "baseline";
    if (placement == Placement::offload()) return "offload";
    return fmt::format("{}{}", PARTIAL_PREFIX, placement.n_cpu_moe);
}

std::string to_text(Placement placement) {
    if (placement.is_automatic) return "auto";
    if (placement == Placement::baseline()) return "gpu";
    if (placement == Placement::offload()) return "cpu-moe";
    return fmt::format("{}{}", PARTIAL_PREFIX_TEXT, placement.n_cpu_moe);
}

Placement parse_placement(const std::string & text) {
    if (const auto found = find_placement(text)) return *found;
    fail_usage("'{}' is not a placement (write baseline, offload or n_cpu_moe=N)", text);
}

Placement parse_placement_or_auto(const std::string & text) {
    if (text == "auto") return Placement::automatic();
    if (const auto found = find_placement(text)) return *found;
    fail_usage("'{}' is not a placement (write auto, gpu, cpu-moe or n-cpu-moe=N)", text);
}

}  // namespace shimmy::engine
