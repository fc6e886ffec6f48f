// What a campaign needs from outside, as it is outside of tests.
#pragma once

#include "lab/plan/campaign_plan.h"

namespace shimmy::lab {

// The program itself, libllama's quantizer, the real files. `backends`: of what is measured to make a file.
Hooks real_hooks(const Backends & backends);

// The same for runs on this machine: whether it has the campaign's GPU is looked at before they begin.
Hooks real_hooks_here(const CampaignOptions & options);

// Of the model's file or shape. Throws Error if the file is missing or not a model, UsageError for an unknown shape.
InputInfo read_input_info(const CampaignModel & model);

}  // namespace shimmy::lab
