// What a campaign will take, before it is started.
#pragma once

#include "lab/plan/campaign_plan.h"

namespace shimmy::lab {

struct Estimate {
    double time_s = 0.0;
    uint64_t disk_bytes = 0;  // of the model files to be made
    size_t n_measured = 0;    // runs whose time is the median of finished ones like them; the others' is predicted
    size_t n_predicted = 0;
};

// The assumptions behind what is predicted, for people.
std::string estimate_assumptions(const Campaign & campaign);

// `variants` and `runs` are what is to be made.
Estimate estimate(const CampaignPlan & plan, const std::vector<size_t> & variants, const std::vector<size_t> & runs,
                  const Hooks & hooks);

}  // namespace shimmy::lab
