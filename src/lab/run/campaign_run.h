// Runs a campaign: makes the model files that are missing, measures what is not measured yet, sums up.
#pragma once

#include "base/process/subprocess.h"
#include "lab/measure/summary.h"
#include "lab/plan/campaign_plan.h"
#include "lab/run/run_state.h"

#include <functional>
#include <string>
#include <vector>

namespace shimmy::lab {

// Makes these runs (indices into plan.runs), leaves a result file for each, and says in `state` what it is at.
using Executor = std::function<void(const CampaignPlan & plan, const std::vector<size_t> & runs, RunStateFile & state)>;

// One after the other on this machine. A run that fails is recorded and does not stop the others. Throws Error for
// what makes every further run pointless: no GPU to compare on.
Executor local_executor(const CampaignOptions & options, const Hooks & hooks);

// Makes one run in a fresh process and writes its result file. Returns the result.
Json make_run(const CampaignPlan & plan, size_t run, const std::string & program, const Hooks & hooks);

// Does it all: what the options' selection leaves out stays as it is. Ctrl-C throws Interrupted and leaves every
// finished result; so does a kill. With an evaluation text, measures the quality of the files at the end, unless only
// some runs were chosen. Writes campaign.json, the results, quality/*.json and summary.json under
// campaign.out_dir. Throws Error if another process runs the same campaign, or the disk is too small.
Summary run_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks,
                     const Executor & executor);

}  // namespace shimmy::lab
