// A race of settings against the clock.
#pragma once

#include "tune/race.h"
#include "tune/settings.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::tune {

// One measurement: what a request takes with these settings, or why it cannot be made.
struct Figure {
    double cost_ms = CANNOT_RUN;
    std::string error;
};

struct Hooks {
    // Options of the command line, as words. May throw Interrupted, which ends the race with what is known.
    std::function<Figure(const std::vector<std::string> & options)> measure;
    std::function<double()> elapsed_s;  // since the start
    // Before each measurement: what it is, as "threads 4".
    std::function<void(const std::string & what)> on_step = [](const std::string &) {};
    // After the values of a setting have been compared.
    std::function<void(const Setting & setting, const Heat & heat)> on_heat = [](const Setting &, const Heat &) {};
};

struct Outcome {
    std::vector<Setting> settings;
    std::vector<Heat> heats;  // in the order they were run
    Point best;
    bool is_better = false;       // than the defaults: their ranges are apart
    double gain = 1.0;            // time with the defaults over time with the best, if that was measured
    std::optional<double> noise;  // relative standard deviation of repeats
    int n_measured = 0;
    double longest_s = 0.0;        // of a measurement, with loading
    bool was_interrupted = false;  // `best` is what had won until then
    bool ran_out_of_time = false;
    std::map<std::string, std::string> errors;  // by "threads 4": why it cannot run

    // The last complete heat of a setting in which the value was measured; of any value if it is -1. nullptr: none.
    const Heat * last_heat(size_t setting, int value = -1) const;
    // Time with the default of a setting over time with the value that was kept, beside the other choices.
    double worth(size_t setting) const;
};

// "threads 4": the setting in which a point differs from `base`, and the value; "the defaults" where it does in none.
std::string describe_step(const std::vector<Setting> & settings, const Point & base, const Point & point);

// The options that choose a point, as words.
std::vector<std::string> options_of(const std::vector<Setting> & settings, const Point & point);

// The settings of `more` beside those of `outcome`, around whose best they were raced.
void append(Outcome & outcome, const Outcome & more);

// Ends once all is known, or `limit_s` is over.
Outcome tune(const std::vector<Setting> & settings, const Hooks & hooks, double limit_s);

}  // namespace shimmy::tune
