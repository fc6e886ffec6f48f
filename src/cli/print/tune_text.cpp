#include "cli/print/tune_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace shimmy::cli {

namespace {

using tune::Entrant;
using tune::Heat;
using tune::Setting;

constexpr double BAR_WIDTH = 30.0;

std::string value_name(const Setting & setting, int value) {
    return setting.values[static_cast<size_t>(value)].text + (value == 0 ? " (default)" : "");
}

// Where a value stands beside the one that was kept.
const char * state_of(const Heat * heat, int value, int kept) {
    if (value == kept) return "kept";
    if (heat == nullptr) return "not_measured";
    const Entrant & entrant = heat->entrant(value);
    if (!entrant.can_run()) return "cannot_run";
    const bool is_apart = heat->has(kept) && tune::ranges_are_apart(heat->entrant(kept), entrant);
    // One that was clearly slower in the first round has one figure, and no range.
    const bool is_out = entrant.costs.size() == 1 && heat->entrants.size() > 1;
    return is_apart || is_out ? "worse" : "not_apart";
}

// What is said about a value beside its bar.
std::string remark(const tune::Outcome & outcome, size_t setting, int value, const Heat * heat) {
    const int kept = outcome.best[setting];
    const std::string state = state_of(heat, value, kept);
    if (state == "kept") {
        const double worth = outcome.worth(setting);
        return kept == 0 ? "kept" : fmt::format("kept: {:.2f}x faster than the default", worth);
    }
    if (state == "not_measured") return "not measured";
    if (state == "cannot_run") {
        const auto found =
            outcome.errors.find(fmt::format("{} {}", outcome.settings[setting].name,
                                            outcome.settings[setting].values[static_cast<size_t>(value)].text));
        return "cannot run" + (found == outcome.errors.end() ? "" : ": " + found->second);
    }
    const double ratio =
        heat->has(kept) ? heat->entrant(value).median() / heat->entrant(kept).median() : heat->ratio_to_winner(value);
    return state == "worse" ? fmt::format("{:.2f}x the time", ratio)
                            : fmt::format("{:.2f}x the time, ranges overlap", ratio);
}

double median_ms(const Heat * heat, int value) {
    return heat == nullptr ? tune::CANNOT_RUN : heat->entrant(value).median();
}

std::string bar(double ms, double longest_ms) {
    if (!std::isfinite(ms)) return "";
    const int n = std::max(1, static_cast<int>(std::lround(BAR_WIDTH * ms / longest_ms)));
    std::string text;
    for (int i = 0; i < n; ++i)
        text += "█";
    return text + std::string(static_cast<size_t>(std::max(0, static_cast<int>(BAR_WIDTH) - n)), ' ');
}

}  // namespace

std::string heat_text(const Setting & setting, const Heat & heat) {
    std::string others;
    for (const Entrant & entrant : heat.entrants) {
        if (entrant.value == heat.winner) continue;
        const double ratio = heat.ratio_to_winner(entrant.value);
        const bool overlaps = entrant.can_run() && entrant.costs.size() > 1 &&
                              !tune::ranges_are_apart(heat.entrant(heat.winner), entrant);
        others += fmt::format("{}{} {}{}", others.empty() ? "" : ", ",
                              setting.values[static_cast<size_t>(entrant.value)].text,
                              std::isfinite(ratio) ? fmt::format("takes {:.2f}x the time", ratio) : "cannot run",
                              overlaps ? " (ranges overlap)" : "");
    }
    const bool stays = heat.winner == heat.entrants.front().value;
    return fmt::format("{}: {} {}; {}", setting.name, value_name(setting, heat.winner), stays ? "stays" : "wins",
                       others);
}

std::string outcome_text(const tune::Outcome & outcome) {
    size_t name_width = 0;
    size_t value_width = 0;
    double longest_ms = 0.0;
    for (size_t i = 0; i < outcome.settings.size(); ++i) {
        const Setting & setting = outcome.settings[i];
        name_width = std::max(name_width, setting.name.size());
        for (int value = 0; value < static_cast<int>(setting.values.size()); ++value) {
            value_width = std::max(value_width, value_name(setting, value).size());
            const double ms = median_ms(outcome.last_heat(i, value), value);
            if (std::isfinite(ms)) longest_ms = std::max(longest_ms, ms);
        }
    }
    std::string text;
    for (size_t i = 0; i < outcome.settings.size(); ++i) {
        const Setting & setting = outcome.settings[i];
        for (int value = 0; value < static_cast<int>(setting.values.size()); ++value) {
            const Heat * heat = outcome.last_heat(i, value);
            const double ms = median_ms(heat, value);
            const std::string line =
                fmt::format("{:<{}}  {:<{}}  {:>9}  {:<{}}  {}", value == 0 ? setting.name : "", name_width,
                            value_name(setting, value), value_width,
                            std::isfinite(ms) ? fmt::format("{:.0f} ms", ms) : "-", bar(ms, longest_ms),
                            std::isfinite(ms) ? 0 : static_cast<int>(BAR_WIDTH), remark(outcome, i, value, heat));
            text += line + "\n";
        }
    }
    return text;
}

Json settings_json(const tune::Outcome & outcome) {
    Json all = Json::array();
    for (size_t i = 0; i < outcome.settings.size(); ++i) {
        const Setting & setting = outcome.settings[i];
        Json values = Json::array();
        for (int value = 0; value < static_cast<int>(setting.values.size()); ++value) {
            const Heat * heat = outcome.last_heat(i, value);
            const double ms = median_ms(heat, value);
            Json samples = Json::array();
            if (heat != nullptr)
                for (const double cost : heat->entrant(value).costs)
                    samples.push_back(std::isfinite(cost) ? Json(cost) : Json(nullptr));
            values.push_back({{"value", setting.values[static_cast<size_t>(value)].text},
                              {"options", setting.values[static_cast<size_t>(value)].options},
                              {"median_ms", std::isfinite(ms) ? Json(ms) : Json(nullptr)},
                              {"samples_ms", samples},
                              {"state", state_of(heat, value, outcome.best[i])}});
        }
        all.push_back({{"setting", setting.name},
                       {"kept", setting.values[static_cast<size_t>(outcome.best[i])].text},
                       {"is_default", outcome.best[i] == 0},
                       {"worth", outcome.worth(i)},
                       {"values", values}});
    }
    return all;
}

}  // namespace shimmy::cli
