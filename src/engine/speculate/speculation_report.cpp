#include "engine/speculate/speculation_report.h"

#include <fmt/format.h>

namespace shimmy::engine {

std::string SpeculationReport::text() const {
    const std::string drafts =
        n_drafted == 0
            ? "nothing was drafted"
            : fmt::format("{:.0f}% of {} drafted tokens accepted",
                          100.0 * static_cast<double>(n_accepted) / static_cast<double>(n_drafted), n_drafted);
    if (!is_measured) return fmt::format("speculation {}: {}", kind, drafts);
    const std::string rate = gain ? fmt::format(", {:.2f}x the rate without it over {} tokens", *gain, n_measured) : "";
    if (!is_decided) return fmt::format("speculation {}, still being measured: {}{}", kind, drafts, rate);
    if (!is_on) return fmt::format("speculation off ({}: {}{})", kind, drafts, rate);
    return fmt::format("speculation {}: {}{}", kind, drafts, rate);
}

}  // namespace shimmy::engine
