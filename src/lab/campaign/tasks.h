// Task files that a campaign scores its models on: multiple choice and exact answers, as `shimmy eval` asks them.
#pragma once

#include "base/json.h"
#include "lab/campaign/campaign.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// Reads every task's files, so that what is wrong with one is told before days of runs. Throws Error for a file that is
// not there, UsageError for one that is no task.
void look_at_tasks(Campaign & campaign);

// As in --gpu-backend and --moe-backend.
struct TaskBackends {
    std::string gpu;
    std::string moe;
};

// The command line of a task run, without the program itself. The experts stay in RAM, so that a model which does not
// fit the card is no obstacle; scores differ between placements by rounding alone.
std::vector<std::string> task_arguments(const Campaign & campaign, const CampaignTask & task, const fs::path & model,
                                        const TaskBackends & backends);

// What the scores depend on, as part of the run's settings.
Json task_settings(const CampaignTask & task);

// Why the document of `shimmy eval --json` is not one of these settings; empty if it is.
std::string task_defect(const Json & document, const Json & settings);

}  // namespace shimmy::lab
