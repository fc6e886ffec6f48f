// What the models of a campaign score on its tasks, and how each quantization stands to the original.
#pragma once

#include "eval/proportion.h"
#include "lab/plan/campaign_plan.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::lab {

// The same questions answered by the reference (first) and by this quantization (second).
struct TaskComparison {
    eval::Paired paired;
    eval::Interval ci95;  // of the difference of the shares, this quantization's minus the reference's
    double p = 1.0;       // McNemar's exact test
};

struct TaskMetric {
    std::string name;  // "acc_norm"
    size_t n_right = 0;
    double share = 0.0;
    eval::Interval ci95;                                   // Wilson's
    std::optional<TaskComparison> against_reference = {};  // none of the reference itself, and without one
};

// One model file on one task.
struct TaskFigures {
    std::string model;
    std::string quantization;
    std::string task;  // CampaignTask::id
    std::string form;
    std::string use;  // CampaignTask::use
    size_t n_questions = 0;
    std::optional<double> random_chance = {};  // none of answers in words
    std::string reference = {};                // quantization that it is compared with; empty: it has no result
    std::string device = {};                   // description
    std::vector<TaskMetric> metrics = {};      // in the order of eval::metrics()
    std::string file = {};                     // of the result

    // What decides: of choices of different length the normalized accuracy, of answers in words the lenient match.
    const TaskMetric & decisive() const { return metrics.back(); }
};

// In the campaign's order; only of valid results. The reference of a model is its own file if the campaign measures
// it, or else its largest file.
std::vector<TaskFigures> task_figures(const CampaignPlan & plan);

}  // namespace shimmy::lab
