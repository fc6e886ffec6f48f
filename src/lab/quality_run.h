// Measures the quality of a campaign's files, if the campaign names an evaluation text.
#pragma once

#include "lab/campaign_plan.h"
#include "lab/run_state.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// `<out_dir>/quality/<model>.json`: the document of `shimmy quality --json`.
fs::path quality_path(const Campaign & campaign, const std::string & model);

// Models (indices into campaign.models) whose quality is still to be measured: their document is not there, is of other
// files, of another text or as many chunks, or of another llama.cpp. Synthetic models have none: their weights are
// random. `sha256_of_text` of campaign.quality.text.
std::vector<size_t> qualities_to_measure(const CampaignPlan & plan, const std::string & sha256_of_text);

// The command line, without the program itself: the model's original against every file that is there. On a GPU the
// experts stay in RAM, so that an original which does not fit is no obstacle.
std::vector<std::string> quality_arguments(const CampaignPlan & plan, size_t model);

// Runs it for every model that needs it, in a process each. A failure is said and does not stop the others; the
// documents then name the command.
void measure_qualities(const CampaignPlan & plan, const CampaignOptions & options, const Hooks & hooks,
                       RunStateFile & state);

}  // namespace shimmy::lab
