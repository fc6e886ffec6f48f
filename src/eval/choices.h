// How likely a model finds each choice of a question.
#pragma once

#include "engine/run/model.h"
#include "eval/task.h"

#include <string>
#include <vector>

namespace shimmy::eval {

struct ChoiceScores {
    std::vector<double> log_likelihoods;  // of the continuations; what "acc" ranks
    std::vector<double> normalized;       // by their length; what "acc_norm" ranks
};

// What is said of a question that the context does not hold, with the way out.
std::string too_long(const engine::Model & model, const Question & question, size_t n_tokens);

// By the rules of lm-evaluation-harness or of llama-perplexity, as the task's form says (docs/QUALITY.md).
// Throws Error for a choice that does not fit the context.
ChoiceScores score_choices(engine::Model & model, const Task & task, const Question & question);

// The likeliest; of equals the first, but of llama.cpp's Winogrande the last, as there.
size_t best_choice(Form form, const std::vector<double> & scores);

}  // namespace shimmy::eval
