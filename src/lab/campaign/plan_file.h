// A plan as a file.
#pragma once

#include "lab/campaign/campaign_plan.h"

namespace shimmy::lab {

// `<out_dir>/campaign.json`: the plan without its results, so that status, documents and a cluster's workers need
// neither the model files nor their hashes. read throws Error that names the command which writes it.
void write_plan(const CampaignPlan & plan);
CampaignPlan read_plan(const fs::path & out_dir);

}  // namespace shimmy::lab
