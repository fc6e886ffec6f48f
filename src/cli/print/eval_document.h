// What `shimmy eval` prints.
#pragma once

#include "base/json.h"
#include "eval/evaluate.h"

#include <string>
#include <vector>

namespace shimmy::cli {

struct EvaluatedModel {
    std::string file;
    std::string sha256;  // empty: not asked for
    std::string quantization;
    std::string placement;
    eval::Evaluation evaluation;
};

// Entries of `models` and `comparisons` in the document.
Json to_json(const eval::Task & task, const EvaluatedModel & model);
Json comparisons_json(const eval::Task & task, const std::vector<EvaluatedModel> & models);

// For people: shares with their intervals, then every other model against the first.
std::string eval_text(const eval::Task & task, const std::vector<EvaluatedModel> & models);

}  // namespace shimmy::cli
