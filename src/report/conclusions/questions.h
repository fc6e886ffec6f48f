// The questions that people ask of a campaign, answered from its figures.
#pragma once

#include "lab/measure/summary.h"
#include "report/figures/finding.h"
#include "report/figures/quality.h"

#include <string>
#include <vector>

namespace shimmy::report {

struct Question {
    Finding question;
    std::vector<Finding> answer;  // what is not measured says so
};

// Does offload work alike for every quantization, where is the sweet spot, how little VRAM does each quantization need,
// how does the slowdown change, and what to take for what.
std::vector<Question> answered_questions(const lab::Summary & summary, const std::string & model,
                                         const Quality & quality);

}  // namespace shimmy::report
