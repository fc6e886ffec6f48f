#include "tune/tuner.h"

#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::tune {

namespace {

std::vector<int> value_counts(const std::vector<Setting> & settings) {
    std::vector<int> counts;
    for (const Setting & setting : settings)
        counts.push_back(static_cast<int>(setting.values.size()));
    return counts;
}

size_t n_complete_heats(const Race & race) {
    return static_cast<size_t>(
        std::count_if(race.heats().begin(), race.heats().end(), [](const Heat & heat) { return heat.is_complete; }));
}

// What is being measured now, as people read it.
std::string step_name(const std::vector<Setting> & settings, const Race & race, const Point & point) {
    const Point & base = race.is_confirming() ? Point(settings.size(), 0) : race.heats().back().base;
    return race.is_confirming() && point != base ? "all of the best" : describe_step(settings, base, point);
}

}  // namespace

const Heat * Outcome::last_heat(size_t setting, int value) const {
    const auto found = std::find_if(heats.rbegin(), heats.rend(), [&](const Heat & heat) {
        return heat.setting == setting && heat.is_complete && (value < 0 || heat.has(value));
    });
    return found == heats.rend() ? nullptr : &*found;
}

double Outcome::worth(size_t setting) const {
    const Heat * heat = last_heat(setting, 0);
    const int kept = best[setting];
    if (heat == nullptr || kept == 0 || !heat->has(kept)) return 1.0;
    return heat->entrant(0).median() / heat->entrant(kept).median();
}

std::string describe_step(const std::vector<Setting> & settings, const Point & base, const Point & point) {
    for (size_t i = 0; i < settings.size(); ++i) {
        if (point[i] == base[i]) continue;
        return fmt::format("{} {}", settings[i].name, settings[i].values[static_cast<size_t>(point[i])].text);
    }
    const bool is_default = std::all_of(point.begin(), point.end(), [](int value) { return value == 0; });
    return is_default ? "the defaults" : "the best so far";
}

std::vector<std::string> options_of(const std::vector<Setting> & settings, const Point & point) {
    std::vector<std::string> options;
    for (size_t i = 0; i < settings.size(); ++i) {
        const Value & value = settings[i].values[static_cast<size_t>(point[i])];
        options.insert(options.end(), value.options.begin(), value.options.end());
    }
    return options;
}

void append(Outcome & outcome, const Outcome & more) {
    const size_t n_before = outcome.settings.size();
    outcome.settings.insert(outcome.settings.end(), more.settings.begin(), more.settings.end());
    outcome.best.insert(outcome.best.end(), more.best.begin(), more.best.end());
    for (Heat heat : more.heats) {
        heat.setting += n_before;
        outcome.heats.push_back(std::move(heat));
    }
    outcome.gain *= more.is_better ? more.gain : 1.0;
    outcome.is_better = outcome.is_better || more.is_better;
    outcome.n_measured += more.n_measured;
    outcome.longest_s = std::max(outcome.longest_s, more.longest_s);
    outcome.was_interrupted = outcome.was_interrupted || more.was_interrupted;
    outcome.ran_out_of_time = outcome.ran_out_of_time || more.ran_out_of_time;
    outcome.errors.insert(more.errors.begin(), more.errors.end());
}

Outcome tune(const std::vector<Setting> & settings, const Hooks & hooks, double limit_s) {
    Race race(value_counts(settings));
    Outcome outcome;
    outcome.settings = settings;
    double longest_s = 0.0;
    try {
        while (const auto point = race.next()) {
            const double start_s = hooks.elapsed_s();
            // What remains must hold the last comparison.
            if (!race.is_confirming() && start_s + longest_s * (1 + race.n_to_confirm()) > limit_s) {
                outcome.ran_out_of_time = true;
                race.hurry();
                continue;
            }
            const std::string step = step_name(settings, race, *point);
            hooks.on_step(step);
            const Figure figure = hooks.measure(options_of(settings, *point));
            if (!figure.error.empty()) outcome.errors[step] = figure.error;
            const size_t n_complete = n_complete_heats(race);
            race.add(figure.cost_ms);
            if (n_complete_heats(race) > n_complete) {
                const Heat & ended = race.heats()[n_complete];
                hooks.on_heat(settings[ended.setting], ended);
            }
            longest_s = std::max(longest_s, hooks.elapsed_s() - start_s);
        }
    } catch (const Interrupted &) {
        outcome.was_interrupted = true;
    }
    outcome.heats = race.heats();
    outcome.best = race.best();
    // Each step to it was certain, if not their product.
    outcome.is_better =
        race.is_better_than_start() || (outcome.was_interrupted && race.best() != Point(settings.size(), 0));
    outcome.gain = race.gain();
    outcome.noise = race.noise();
    outcome.n_measured = race.n_measured();
    outcome.longest_s = longest_s;
    return outcome;
}

}  // namespace shimmy::tune
