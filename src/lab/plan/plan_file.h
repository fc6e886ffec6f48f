// A plan as a file.
#pragma once

#include "lab/plan/campaign_plan.h"

namespace shimmy::lab {

// `<out_dir>/campaign.json`: the plan without its results, so that status, documents and a cluster's workers need
// neither the model files nor their hashes. read throws Error that names the command which writes it.
void write_plan(const CampaignPlan & plan);
CampaignPlan read_plan(const fs::path & out_dir);

// The stored plan for the campaign as its file is now: more repeats, other prompts, another model. Files that were
// hashed or failed when the plan was written are taken to be as they were then. Throws Error for a model that is new
// and cannot be read.
CampaignPlan read_plan_for(const Campaign & now, const std::function<InputInfo(const CampaignModel &)> & read_input);

// What only documents say (license, base model, languages, creator, owner, layout), from the campaign as it is now.
void take_document_keys(CampaignPlan & plan, const Campaign & now);

}  // namespace shimmy::lab
