#include "tune/race.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace shimmy::tune {

namespace {

// In the tests' synthetic machines (noise of 0.3% to 1.5%), three, four and five rounds find nearly the same.
constexpr int MAX_ROUNDS = 4;
constexpr int CONFIRM_ROUNDS = 3;
// Over all settings. In those machines one pass ends within 3% of the best of the grid in 90%, two in 96% or more; a
// third finds nothing and costs a quarter more.
constexpr int MAX_PASSES = 2;
// Gains below this are not worth a line in a profile.
constexpr double MIN_GAIN = 0.01;
// After one round: worse than the leader by this, or by so many standard deviations of repeats, is out. A measurement
// that a busy machine doubled costs a value its chance only until the next pass.
constexpr double CLEARLY_WORSE = 0.08;
constexpr double CLEARLY_WORSE_DEVIATIONS = 4.0;
// The same while no repeat has shown how much they differ.
constexpr double CLEARLY_WORSE_AT_FIRST = 0.25;
// What lost by this in an earlier pass is not tried again.
constexpr double HOPELESS = 1.25;

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2.0;
}

}  // namespace

bool Entrant::can_run() const {
    return std::all_of(costs.begin(), costs.end(), [](double cost) { return std::isfinite(cost); });
}

double Entrant::median() const {
    return costs.empty() || !can_run() ? CANNOT_RUN : median_of(costs);
}

bool Heat::has(int value) const {
    return std::any_of(entrants.begin(), entrants.end(), [&](const Entrant & one) { return one.value == value; });
}

const Entrant & Heat::entrant(int value) const {
    return *std::find_if(entrants.begin(), entrants.end(), [&](const Entrant & one) { return one.value == value; });
}

double Heat::ratio_to_winner(int value) const {
    return entrant(value).median() / entrant(winner).median();
}

bool ranges_are_apart(const Entrant & better, const Entrant & worse) {
    if (better.costs.size() < 2 || !better.can_run()) return false;
    if (!worse.can_run()) return true;
    return worse.costs.size() >= 2 && *std::max_element(better.costs.begin(), better.costs.end()) <
                                          *std::min_element(worse.costs.begin(), worse.costs.end());
}

Race::Race(std::vector<int> n_values)
    : n_values_(std::move(n_values)), start_(n_values_.size(), 0), best_(start_), raced_at_(n_values_.size()) {
    if (!begin_next_setting()) is_done_ = true;
}

std::optional<Point> Race::next() const {
    if (is_done_) return std::nullopt;
    if (is_confirming_) return order_[at_] == 0 ? start_ : best_;
    const Heat & heat = heats_.back();
    Point point = heat.base;
    point[heat.setting] = heat.entrants[order_[at_]].value;
    return point;
}

void Race::add(double cost) {
    if (is_done_) return;
    ++n_measured_;
    Heat & current = is_confirming_ ? *final_ : heat();
    current.entrants[order_[at_]].costs.push_back(cost);
    if (++at_ < order_.size()) return;
    is_confirming_ ? end_confirming() : end_round();
}

void Race::hurry() {
    if (is_done_ || is_confirming_) return;
    if (round_ >= 2) end_heat();
    if (is_done_ || is_confirming_) return;
    begin_confirming();
}

int Race::n_to_confirm() const {
    return is_done_ ? 0 : 2 * CONFIRM_ROUNDS;
}

double Race::gain() const {
    if (!final_ || final_->entrants[0].costs.empty() || final_->entrants[1].costs.empty()) return 1.0;
    return final_->entrants[0].median() / final_->entrants[1].median();
}

std::optional<double> Race::noise() const {
    double sum = 0.0;
    size_t degrees = 0;
    for (const Heat & one : heats_) {
        for (const Entrant & entrant : one.entrants) {
            if (entrant.costs.size() < 2 || !entrant.can_run()) continue;
            double mean = 0.0;
            for (const double cost : entrant.costs)
                mean += std::log(cost) / static_cast<double>(entrant.costs.size());
            for (const double cost : entrant.costs)
                sum += std::pow(std::log(cost) - mean, 2);
            degrees += entrant.costs.size() - 1;
        }
    }
    if (degrees == 0) return std::nullopt;
    return std::sqrt(sum / static_cast<double>(degrees));
}

// The next setting that has several values and has not been raced beside the same others. False: there is none.
bool Race::begin_next_setting() {
    for (; pass_ < MAX_PASSES; ++pass_, setting_ = 0) {
        for (; setting_ < n_values_.size(); ++setting_) {
            if (n_values_[setting_] < 2) continue;
            Point others = best_;
            others[setting_] = 0;
            if (raced_at_[setting_] == others) continue;
            raced_at_[setting_] = others;
            begin_heat();
            if (heat().entrants.size() > 1) return true;
            heats_.pop_back();
        }
    }
    return false;
}

void Race::begin_heat() {
    Heat fresh;
    fresh.setting = setting_;
    fresh.base = best_;
    fresh.winner = best_[setting_];
    fresh.entrants.push_back({fresh.winner, {}, true});
    for (int value = 0; value < n_values_[setting_]; ++value) {
        if (value == fresh.winner) continue;
        const bool is_hopeless = std::any_of(heats_.begin(), heats_.end(), [&](const Heat & before) {
            return before.setting == setting_ && before.is_complete && before.has(value) &&
                   before.ratio_to_winner(value) > HOPELESS;
        });
        if (!is_hopeless) fresh.entrants.push_back({value, {}, true});
    }
    heats_.push_back(std::move(fresh));
    round_ = 0;
    begin_round();
}

void Race::begin_round() {
    const std::vector<Entrant> & entrants = is_confirming_ ? final_->entrants : heat().entrants;
    order_.clear();
    for (size_t i = 0; i < entrants.size(); ++i)
        if (entrants[i].is_in) order_.push_back(i);
    if (round_ % 2 == 1) std::reverse(order_.begin(), order_.end());
    at_ = 0;
    ++round_;
}

void Race::end_round() {
    drop_poor();
    const auto & entrants = heat().entrants;
    const auto n_in = std::count_if(entrants.begin(), entrants.end(), [](const Entrant & one) { return one.is_in; });
    if (n_in > 1 && round_ < MAX_ROUNDS) return begin_round();
    end_heat();
}

// The value that was best before stays in until another is apart from it: what beats it must have been measured beside
// it at least twice.
void Race::drop_poor() {
    auto & entrants = heat().entrants;
    const Entrant & before = entrants.front();
    const Entrant & leader =
        *std::min_element(entrants.begin(), entrants.end(), [](const Entrant & a, const Entrant & b) {
            return (a.is_in ? a.median() : CANNOT_RUN) < (b.is_in ? b.median() : CANNOT_RUN);
        });
    const auto deviation = noise();
    const double margin =
        deviation ? std::max(CLEARLY_WORSE, CLEARLY_WORSE_DEVIATIONS * *deviation) : CLEARLY_WORSE_AT_FIRST;
    const double limit = leader.median() * (1.0 + margin);
    for (Entrant & one : entrants) {
        if (!one.is_in || &one == &leader) continue;
        const bool is_first = &one == &before;
        if (!one.can_run() && !is_first) one.is_in = false;
        if (round_ == 1 && !is_first && one.median() > limit) one.is_in = false;
        if (round_ >= 2 && ranges_are_apart(leader, one)) one.is_in = false;
        if (round_ >= 2 && !is_first && before.is_in && one.median() >= before.median()) one.is_in = false;
    }
}

void Race::end_heat() {
    Heat & ended = heat();
    ended.is_complete = true;
    const Entrant & before = ended.entrants.front();
    const Entrant * winner = &before;
    for (const Entrant & one : ended.entrants) {
        const bool is_worth_it = one.median() < before.median() * (1.0 - MIN_GAIN);
        if (is_worth_it && ranges_are_apart(one, before) && one.median() < winner->median()) winner = &one;
    }
    ended.winner = winner->value;
    best_[ended.setting] = winner->value;
    ++setting_;
    if (!begin_next_setting()) begin_confirming();
}

void Race::begin_confirming() {
    if (!heats_.empty() && !heats_.back().is_complete && heats_.back().entrants.front().costs.empty())
        heats_.pop_back();
    is_done_ = best_ == start_;
    if (is_done_) return;
    final_.emplace();
    final_->entrants = {{0, {}, true}, {1, {}, true}};
    is_confirming_ = true;
    round_ = 0;
    begin_round();
}

void Race::end_confirming() {
    if (round_ < CONFIRM_ROUNDS) return begin_round();
    is_done_ = true;
    is_better_ = ranges_are_apart(final_->entrants[1], final_->entrants[0]);
    if (!is_better_) best_ = start_;
}

}  // namespace shimmy::tune
