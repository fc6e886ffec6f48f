#include "engine/load/placement.h"

#include "base/error.h"

#include <charconv>

namespace shimmy::engine {

namespace {

constexpr std::string_view PARTIAL_PREFIX = "n_cpu_moe=";

}  // namespace

std::string to_string(Placement placement) {
    if (placement == Placement::baseline()) return "baseline";
    if (placement == Placement::offload()) return "offload";
    return fmt::format("{}{}", PARTIAL_PREFIX, placement.n_cpu_moe);
}

Placement parse_placement(const std::string & text) {
    if (text == "baseline") return Placement::baseline();
    if (text == "offload") return Placement::offload();
    if (text.starts_with(PARTIAL_PREFIX)) {
        int n_layers = -1;
        const char * end = text.data() + text.size();
        const auto parsed = std::from_chars(text.data() + PARTIAL_PREFIX.size(), end, n_layers);
        if (parsed.ec == std::errc() && parsed.ptr == end && n_layers > 0) return Placement::partial(n_layers);
    }
    fail_usage("'{}' is not a placement (write baseline, offload or n_cpu_moe=N)", text);
}

}  // namespace shimmy::engine
