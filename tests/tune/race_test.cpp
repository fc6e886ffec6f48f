// The policy against synthetic machines: what it finds, what it measures for it, and what it does not claim.
#include "tune/race.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

namespace shimmy::tune {
namespace {

// A machine whose settings multiply its cost, some of them together, with noise on every measurement.
class Machine {
public:
    Machine(std::vector<int> n_values, unsigned seed, double noise, double coupling = 0.04)
        : n_values_(std::move(n_values)), random_(seed), noise_(noise) {
        std::uniform_real_distribution<double> factor(-0.2, 0.5);
        std::uniform_real_distribution<double> couple(-coupling, coupling);
        for (const int n : n_values_) {
            auto & factors = factors_.emplace_back(1, 0.0);
            while (static_cast<int>(factors.size()) < n)
                factors.push_back(factor(random_));
        }
        for (size_t i = 0; i + 1 < n_values_.size(); ++i) {
            auto & of_pair = couplings_.emplace_back();
            for (int k = 0; k < n_values_[i] * n_values_[i + 1]; ++k)
                of_pair.push_back(couple(random_));
        }
    }

    double cost(const Point & point) const {
        double log_cost = 0.0;
        for (size_t i = 0; i < point.size(); ++i)
            log_cost += factors_[i][static_cast<size_t>(point[i])];
        for (size_t i = 0; i + 1 < point.size(); ++i)
            log_cost += couplings_[i][static_cast<size_t>(point[i] * n_values_[i + 1] + point[i + 1])];
        return 1000.0 * std::exp(log_cost);
    }
    double measure(const Point & point) {
        return cost(point) * std::exp(std::normal_distribution<double>(0.0, noise_)(random_));
    }
    int n_points() const { return std::accumulate(n_values_.begin(), n_values_.end(), 1, std::multiplies<>()); }
    double best_cost() const {
        double best = cost(Point(n_values_.size(), 0));
        for (int i = 0; i < n_points(); ++i) {
            Point point;
            int rest = i;
            for (const int n : n_values_) {
                point.push_back(rest % n);
                rest /= n;
            }
            best = std::min(best, cost(point));
        }
        return best;
    }

private:
    std::vector<int> n_values_;
    std::mt19937 random_;
    double noise_;
    std::vector<std::vector<double>> factors_;
    std::vector<std::vector<double>> couplings_;
};

// Feeds the race with the cost of a point, worked out by hand, and notes what was measured.
std::vector<Point> measured(Race & race, const std::function<double(const Point &)> & cost) {
    std::vector<Point> points;
    while (const auto point = race.next()) {
        points.push_back(*point);
        race.add(cost(*point));
    }
    return points;
}

TEST(Race, FindsTheBestOfAGridInAFifthOfItsMeasurements) {
    const std::vector<int> n_values{4, 4, 2, 3, 2, 3};
    constexpr int N_POINTS = 4 * 4 * 2 * 3 * 2 * 3;
    constexpr unsigned N_SEEDS = 300;
    for (const double noise : {0.003, 0.01, 0.015}) {
        unsigned n_near = 0;
        int most = 0;
        double worst = 1.0;
        for (unsigned seed = 0; seed < N_SEEDS; ++seed) {
            Machine machine(n_values, seed, noise);
            Race race(n_values);
            while (const auto point = race.next())
                race.add(machine.measure(*point));
            const double ratio = machine.cost(race.best()) / machine.best_cost();
            n_near += ratio <= 1.03 ? 1U : 0U;
            worst = std::max(worst, ratio);
            most = std::max(most, race.n_measured());
        }
        EXPECT_LE(most, N_POINTS / 5) << noise;
        // The rest are points from which no single setting leads on.
        EXPECT_GE(n_near, N_SEEDS * 95 / 100) << noise;
        EXPECT_LT(worst, 1.10) << noise;
    }
}

TEST(Race, NamesNoWinnerWhereAllAreAlike) {
    unsigned n_claims = 0;
    constexpr unsigned N_SEEDS = 400;
    for (unsigned seed = 0; seed < N_SEEDS; ++seed) {
        std::mt19937 random(seed);
        std::normal_distribution<double> noise(0.0, 0.02);
        Race race({3, 3, 2, 2});
        measured(race, [&](const Point &) { return 500.0 * std::exp(noise(random)); });
        n_claims += race.is_better_than_start() ? 1U : 0U;
        EXPECT_EQ(race.is_better_than_start(), race.best() != Point(4, 0));
    }
    EXPECT_LE(n_claims, N_SEEDS / 20);
}

// Every measurement takes 1% longer than the one before, as on a machine that gets hot.
TEST(Race, ADriftIsNoDifference) {
    double cost = 100.0;
    Race race({3, 2, 2});
    measured(race, [&](const Point &) { return cost *= 1.01; });
    EXPECT_FALSE(race.is_better_than_start());
    EXPECT_EQ(race.best(), (Point{0, 0, 0}));
}

TEST(Race, AAndBAlternate) {
    Race race({2});
    const std::vector<Point> points = measured(race, [](const Point & point) { return point[0] == 1 ? 97.0 : 100.0; });
    // Two rounds, the second reversed; then start and best, three times each.
    EXPECT_EQ(points, (std::vector<Point>{{0}, {1}, {1}, {0}, {0}, {1}, {1}, {0}, {0}, {1}}));
    EXPECT_TRUE(race.is_better_than_start());
    EXPECT_EQ(race.best(), Point{1});
    EXPECT_NEAR(race.gain(), 100.0 / 97.0, 1e-9);
    EXPECT_EQ(race.heats().size(), 1U);
    EXPECT_EQ(race.heats()[0].winner, 1);
    EXPECT_NEAR(race.heats()[0].ratio_to_winner(0), 100.0 / 97.0, 1e-9);
    EXPECT_EQ(*race.noise(), 0.0);
}

TEST(Race, NoiseIsThatOfAllRepeatsTogether) {
    Race race({2});
    // Two entrants, each once 1% above and once 1% below: four squares of 0.01 over one degree of freedom each.
    for (const double deviation : {0.01, 0.01, -0.01, -0.01}) {
        ASSERT_TRUE(race.next());
        race.add(100.0 * std::exp(deviation));
    }
    EXPECT_NEAR(race.noise().value_or(0.0), std::sqrt(4 * 0.0001 / 2), 1e-9);
}

TEST(Race, WhereNothingIsBetterNothingIsConfirmed) {
    Race race({2});
    EXPECT_EQ(measured(race, [](const Point &) { return 100.0; }).size(), 4U);
    EXPECT_FALSE(race.is_confirming());
    EXPECT_EQ(race.gain(), 1.0);
}

TEST(Race, PoorValuesAreDroppedAfterOneMeasurement) {
    Race race({4, 4});
    const std::vector<double> costs{100.0, 150.0, 109.0, 107.0};
    const auto cost = [&](const Point & point) {
        return costs.at(static_cast<size_t>(point[0])) * costs.at(static_cast<size_t>(point[1]));
    };
    const std::vector<Point> points = measured(race, cost);
    const auto n_times = [&](const Point & point) { return std::count(points.begin(), points.end(), point); };
    // As long as no repeat has shown the noise, 25% is clearly worse; then 8%.
    EXPECT_EQ(n_times({1, 0}), 1);
    EXPECT_EQ(n_times({2, 0}), 2);
    EXPECT_EQ(n_times({3, 0}), 2);
    EXPECT_EQ(n_times({0, 1}), 1);
    EXPECT_EQ(n_times({0, 2}), 1);
    EXPECT_EQ(n_times({0, 3}), 2);
    EXPECT_EQ(race.best(), (Point{0, 0}));
}

TEST(Race, AGainBelowOnePercentIsNone) {
    for (const double gain : {0.992, 0.988}) {
        Race race({2});
        measured(race, [&](const Point & point) { return point[0] == 1 ? 100.0 * gain : 100.0; });
        EXPECT_EQ(race.best(), Point{gain < 0.99 ? 1 : 0}) << gain;
    }
}

TEST(Race, OverlappingRangesLeaveTheDefault) {
    Race race({2});
    // Apart in the first two rounds, and not when the best is compared with the start again.
    const std::vector<double> of_default{100, 100, 94, 100, 100};
    size_t n = 0;
    measured(race, [&](const Point & point) { return point[0] == 0 ? of_default.at(n++) : 95.0; });
    EXPECT_EQ(race.heats()[0].winner, 1);
    EXPECT_EQ(race.best(), Point{0});
    EXPECT_FALSE(race.is_better_than_start());
}

TEST(Race, RangesThatAreApart) {
    EXPECT_TRUE(ranges_are_apart({1, {95, 95}, true}, {0, {100, 100}, true}));
    EXPECT_FALSE(ranges_are_apart({1, {95, 95, 95}, true}, {0, {100, 100, 94}, true}));
    EXPECT_FALSE(ranges_are_apart({1, {95}, true}, {0, {100, 100}, true})) << "one figure has no range";
    EXPECT_TRUE(ranges_are_apart({1, {95, 95}, true}, {0, {CANNOT_RUN}, true}));
    EXPECT_FALSE(ranges_are_apart({1, {CANNOT_RUN, CANNOT_RUN}, true}, {0, {100, 100}, true}));
}

TEST(Race, WhatCannotRunIsTriedOnce) {
    Race race({3, 2});
    const std::vector<Point> points = measured(race, [](const Point & point) {
        if (point[0] == 1) return CANNOT_RUN;
        return point[0] == 2 ? 90.0 : 100.0;
    });
    EXPECT_EQ(std::count_if(points.begin(), points.end(), [](const Point & point) { return point[0] == 1; }), 1);
    EXPECT_EQ(race.best(), (Point{2, 0}));
}

TEST(Race, WhatRunsWinsAgainstADefaultThatCannot) {
    Race race({2});
    measured(race, [](const Point & point) { return point[0] == 1 ? 90.0 : CANNOT_RUN; });
    EXPECT_EQ(race.best(), Point{1});
    EXPECT_TRUE(race.is_better_than_start());
}

// A batch size that pays only with the other value of the first setting is found by going over all settings again.
TEST(Race, SettingsThatPayOnlyTogether) {
    const auto cost = [](const Point & point) {
        if (point[0] == 1) return point[1] == 0 ? 60.0 : 80.0;
        return point[1] == 0 ? 100.0 : 82.0;
    };
    Race race({2, 2});
    measured(race, cost);
    EXPECT_EQ(race.best(), (Point{1, 0}));
    Race other({1, 2});
    measured(other, [&](const Point & point) { return cost({0, point[1]}); });
    EXPECT_EQ(other.best(), (Point{0, 1})) << "alone, the other value is better";
}

TEST(Race, TimeIsShort) {
    Race race({2, 2});
    const auto cost = [](const Point & point) { return 100.0 - 10.0 * point[0] - 10.0 * point[1]; };
    for (int i = 0; i < 5; ++i)
        race.add(cost(*race.next()));  // the first setting is decided, the second begun
    EXPECT_EQ(race.best(), (Point{1, 0}));
    EXPECT_EQ(race.n_to_confirm(), 6);
    race.hurry();
    EXPECT_TRUE(race.is_confirming());
    EXPECT_EQ(measured(race, cost).size(), 6U);
    EXPECT_EQ(race.best(), (Point{1, 0})) << "one figure of the second setting is no result";
    EXPECT_TRUE(race.is_better_than_start());
    EXPECT_FALSE(race.heats().back().is_complete);

    Race none({2, 2});
    none.add(100.0);
    none.hurry();
    EXPECT_FALSE(none.next()) << "nothing to compare";
    EXPECT_FALSE(none.is_better_than_start());
}

TEST(Race, NothingToChoose) {
    Race race({1, 1});
    EXPECT_FALSE(race.next());
    EXPECT_EQ(race.best(), (Point{0, 0}));
}

}  // namespace
}  // namespace shimmy::tune
