// Measures the quality of a campaign's files, if the campaign names an evaluation text.
#pragma once

#include "lab/plan/campaign_plan.h"
#include "lab/run/run_state.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// `<out_dir>/quality/<model>.json`: a document like that of `shimmy quality --json` on all files of the model.
fs::path quality_path(const Campaign & campaign, const std::string & model);

// Files (indices into plan.variants) whose quality is still to be measured: their model's document is not there, lacks
// them as they are now, or is of another text, as many chunks, or another llama.cpp. Synthetic models have none: their
// weights are random. `sha256_of_text` of campaign.quality.text.
std::vector<size_t> qualities_to_measure(const CampaignPlan & plan, const std::string & sha256_of_text);

// What measure_qualities() will have to measure once `coming`, the files that are still to be made, are there. An
// original whose figures come with those of another file is left out.
std::vector<size_t> qualities_to_come(const CampaignPlan & plan, const std::vector<size_t> & coming);

// How long the commands took that measured the quality of this model's files as the campaign asks for it, seconds;
// those alone that found the original's predictions in the cache.
std::vector<double> measured_quality_s(const CampaignPlan & plan, size_t model);

// The command line, without the program itself: one file against its model's original. On a GPU the experts stay in
// RAM, so that an original which does not fit is no obstacle.
std::vector<std::string> quality_arguments(const CampaignPlan & plan, size_t variant);

// Runs it for every file that needs it, in a process each (the original's predictions are cached), and adds what it
// prints to the model's document: a kill costs one file. A failure is said and does not stop the others; the documents
// then name the command.
void measure_qualities(const CampaignPlan & plan, const CampaignOptions & options, const Hooks & hooks,
                       RunStateFile & state);

}  // namespace shimmy::lab
