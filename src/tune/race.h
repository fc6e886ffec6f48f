// Which settings to measure next, and which are best: a policy that knows nothing of models or time, fed with figures.
//
// One setting at a time is varied around the best so far. A grid of all settings would take hundreds of measurements;
// most settings act nearly independently of each other, and those that do not (the batch size and what computes it)
// are met by going over all of them again after something has changed. Successive halving over whole
// points would begin with many of them, most of which share a poor value of one setting and are dropped for it.
//
// The values of one setting race: in every round each value that is still in it is measured once, in an order that is
// reversed from round to round, so that A and B alternate and a machine that slows down slows both. What is clearly
// worse than the leader is dropped after the first round, what cannot win after the second. A value replaces another
// only if their ranges are apart: every figure of one better than every figure of the other.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

namespace shimmy::tune {

// For each setting the index of a value; 0 is what happens without a choice.
using Point = std::vector<int>;

inline constexpr double CANNOT_RUN = std::numeric_limits<double>::infinity();

// One value in one race.
struct Entrant {
    int value = 0;
    std::vector<double> costs;  // in the order they were measured
    bool is_in = true;          // still measured

    bool can_run() const;
    double median() const;  // infinity where it cannot run
};

// The values of one setting, raced around `base`.
struct Heat {
    size_t setting = 0;
    Point base;                     // with the value that was best before
    std::vector<Entrant> entrants;  // that value first
    int winner = 0;                 // a value: the first one's, unless another's range is apart from it and better
    bool is_complete = false;       // else it was broken off

    bool has(int value) const;
    const Entrant & entrant(int value) const;  // has(value)
    // Cost of a value over the winner's, 1.1 for 10% worse; of medians. Infinity where it cannot run.
    double ratio_to_winner(int value) const;
};

// True if every cost of `better` is below every cost of `worse`, of at least two each.
bool ranges_are_apart(const Entrant & better, const Entrant & worse);

class Race {
public:
    // `n_values[i]`: values of setting i, 1 at least. `first`: the point to begin with, if not that of all zeros.
    explicit Race(std::vector<int> n_values);

    // What to measure now, until add() is called; nullopt when all is known.
    std::optional<Point> next() const;
    // The cost of next(): any unit, lower is better; CANNOT_RUN.
    void add(double cost);

    // Time is short: ends the current heat and compares the best with the start, if that is another point.
    void hurry();
    // Measurements that hurry() leaves to do, at most.
    int n_to_confirm() const;

    // The best so far. After the last measurement: the start, unless the best is apart from it and better.
    const Point & best() const { return best_; }
    bool is_better_than_start() const { return is_better_; }
    // The best is being compared with the start.
    bool is_confirming() const { return is_confirming_; }
    // Cost of the start over that of the best, from the last comparison; 1 if there was none.
    double gain() const;

    // Every heat that was run, in order.
    const std::vector<Heat> & heats() const { return heats_; }
    // Relative standard deviation of repeats so far; nullopt before the first repeat.
    std::optional<double> noise() const;
    int n_measured() const { return n_measured_; }

private:
    void begin_heat();
    bool begin_next_setting();
    void begin_round();
    void end_round();
    void end_heat();
    void begin_confirming();
    void end_confirming();
    void drop_poor();
    Heat & heat() { return heats_.back(); }

    std::vector<int> n_values_;
    Point start_;
    Point best_;
    std::vector<Heat> heats_;
    std::vector<size_t> order_;  // entrants of this round, to be measured
    size_t at_ = 0;              // in order_
    int round_ = 0;
    size_t setting_ = 0;
    int pass_ = 0;
    std::vector<Point> raced_at_;  // by setting: the other settings' values when it was last raced
    std::optional<Heat> final_;    // start and best, as values 0 and 1
    bool is_confirming_ = false;
    bool is_done_ = false;
    bool is_better_ = false;
    int n_measured_ = 0;
};

}  // namespace shimmy::tune
