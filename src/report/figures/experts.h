// Where the expert tensors lie, as the loaded models said.
#pragma once

#include "lab/measure/summary.h"
#include "report/text/table.h"

#include <string>

namespace shimmy::report {

// A line per quantization, placement and kind of buffer.
Table experts_table(const lab::Summary & summary, const std::string & model);

// A line per expert tensor of every file and placement, from the first run of each: expert_tensors.csv, RFC 4180. Empty
// if no run has said it.
std::string expert_tensors_csv(const lab::CampaignPlan & plan);

// Expert tensors that do not lie where their placement puts them: on the CPU with a baseline, or, where all experts
// belong on the CPU, elsewhere. Also runs of one file and placement that say otherwise than its first. Empty: none.
std::string misplaced_experts(const lab::CampaignPlan & plan);

}  // namespace shimmy::report
