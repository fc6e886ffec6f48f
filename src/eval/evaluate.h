// A model asked all questions of a task.
#pragma once

#include "engine/run/model.h"
#include "eval/choices.h"
#include "eval/task.h"

#include <functional>
#include <string>
#include <vector>

namespace shimmy::eval {

struct Asked {
    const Question * question = nullptr;
    std::vector<bool> right;  // for each of metrics()
    // Chosen:
    ChoiceScores scores = {};
    std::vector<size_t> chosen = {};  // for each of metrics()
    // In words:
    std::string text = {};
    std::vector<std::string> found = {};  // for each of metrics(); "": no answer in the text
};

struct Evaluation {
    std::vector<Asked> asked;  // in the order of the task
    bool stopped = false;      // by Ctrl-C, before all were asked

    std::vector<bool> right(size_t metric) const;
    size_t n_right(size_t metric) const;
};

struct EvaluateOptions {
    int max_tokens = 256;  // of a generated answer
    bool chat = false;     // ask generated answers through the model's chat template
};

// Sequences that are worth computing together: LoadOptions::n_sharing.
uint32_t n_sharing(const Task & task);

// The share of questions that guessing gets right; 0 for answers in words.
double random_chance(const Task & task);

// Ctrl-C ends it with what is there. `on_question(done, total)` may throw Interrupted, too. `task` must outlive the
// result. Throws Error for a question that does not fit the context.
Evaluation evaluate(engine::Model & model, const Task & task, const EvaluateOptions & options,
                    const std::function<void(size_t done, size_t total)> & on_question);

}  // namespace shimmy::eval
