// A campaign's figures in llama-bench's form, for programs that read that.
#pragma once

#include "base/json.h"
#include "lab/plan/campaign_plan.h"

#include <string>

namespace shimmy::lab {

// Two tests per cell in process and prompt length: prefill of the prompt (n_gen 0), and decode of the answer (n_prompt
// 0, n_depth of the prompt). `samples_ts` are the runs. Members that shimmy does not know are left out. Throws Error if
// no run has figures.
Json llama_bench_tests(const CampaignPlan & plan);

// The same as CSV, with llama-bench's first line.
std::string llama_bench_csv(const Json & tests);

}  // namespace shimmy::lab
