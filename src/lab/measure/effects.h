// What an axis of the campaign changes: every value against the axis's first, pair by pair of runs that differ in
// nothing else.
#pragma once

#include "lab/measure/cells.h"
#include "lab/measure/statistics.h"
#include "lab/plan/campaign_plan.h"

#include <optional>
#include <vector>

namespace shimmy::lab {

// By how many percent a figure is above another (negative: below), over pairs of runs. Ratios are averaged as
// logarithms: twice as fast and half as fast is no change on average, and no interval goes below -100%.
struct Change {
    size_t n = 0;                    // pairs; 0: none
    double mean = 0.0;               // of the geometric mean of the ratios
    std::optional<double> low = {};  // 95% interval of the mean, Student's t; none for fewer than two pairs
    std::optional<double> high = {};

    bool is_clear() const;  // the interval does not hold 0
};
Change change_of(const std::vector<double> & ratios);

// One value of an axis against its first, in one model, quantization, placement and mode. In a full design, over all
// values of the other axes.
struct AxisEffect : CellKey {  // without a point
    Mode mode = Mode::generate;
    int n_clients = 0;  // of load runs
    Point from = {};    // one setting; in a paired design all that change together
    Point to = {};
    Change decode = {};                       // of load runs, tokens/s of all clients
    Change prefill = {};                      // none of load runs
    Change ttft = {};                         // of load runs, the median of the requests
    std::optional<double> vram_percent = {};  // the mean; nothing of it is chance
};

// The effect of one setting at two values of another. `percent`: by how much the ratio that `to` brings is higher at
// `at` than at `at_base`.
struct Interaction : CellKey {
    Mode mode = Mode::generate;
    Setting from = {}, to = {};
    Setting at_base = {}, at = {};
    Change effect_at_base = {};  // of the decode rate
    Change effect_at = {};
    Change percent = {};
};

// Of every axis with more than one value, in the order of the campaign; only where there are pairs.
std::vector<AxisEffect> axis_effects(const CampaignPlan & plan);

// Between every two axes of a full design, of the decode rate, and only what is clear: the interval of `percent` does
// not hold 0, and those of the two effects do not meet.
std::vector<Interaction> axis_interactions(const CampaignPlan & plan);

}  // namespace shimmy::lab
