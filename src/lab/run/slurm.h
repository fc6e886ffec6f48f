// The runs of a campaign as one Slurm job array: a task per run, each leaving the same result file as a local run.
// Every node must see the campaign's folder and the program under the same paths.
#pragma once

#include "lab/run/campaign_run.h"

#include <string>
#include <vector>

namespace shimmy::lab {

struct SlurmOptions {
    std::vector<std::string> sbatch_args;  // passed on: "--gres=gpu:1", "--partition=a100"
    std::chrono::milliseconds poll{5000};
};

// Submits and waits. A job of this campaign that an earlier process submitted and left is waited for first. Ctrl-C
// cancels the job. Throws Error with Slurm's reason.
Executor slurm_executor(const CampaignOptions & options, const SlurmOptions & slurm);

// "0-3,7": indices as --array takes them. `runs` is ascending.
std::string array_ranges(const std::vector<size_t> & runs);

}  // namespace shimmy::lab
