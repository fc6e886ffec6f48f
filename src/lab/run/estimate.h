// What a campaign will take, before it is started.
#pragma once

#include "lab/plan/campaign_plan.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// Time of things of one kind.
struct TimeOf {
    double time_s = 0.0;
    size_t n_measured = 0;  // things whose time is that of finished ones like them; the others' is predicted
    size_t n_predicted = 0;

    void add_measured(double seconds) {
        time_s += seconds;
        ++n_measured;
    }
    void add_predicted(double seconds) {
        time_s += seconds;
        ++n_predicted;
    }
};

struct Estimate {
    uint64_t disk_bytes = 0;     // of the model files to be made
    uint64_t scratch_bytes = 0;  // needed besides while types are searched
    TimeOf files;                // model files that are made, with what is computed and measured for it
    TimeOf runs;
    TimeOf quality;  // files whose quality is measured

    double time_s() const { return files.time_s + runs.time_s + quality.time_s; }
    size_t n_predicted() const { return files.n_predicted + runs.n_predicted + quality.n_predicted; }
};

// The assumptions behind what is predicted, and what no estimate counts, for people.
std::string estimate_assumptions(const Campaign & campaign);
const char * estimate_leaves_out();

// `variants` and `runs` are what is to be made, `qualities` the files whose quality is to be measured
// (lab/run/quality_run.h).
Estimate estimate(const CampaignPlan & plan, const std::vector<size_t> & variants, const std::vector<size_t> & runs,
                  const std::vector<size_t> & qualities, const Hooks & hooks);

// Of the files in `variants`, the most that a search for types writes beside its result: files of about the original's
// size, one after the other. 0 if no types are searched.
uint64_t scratch_bytes(const CampaignPlan & plan, const std::vector<size_t> & variants);

}  // namespace shimmy::lab
