// Task files: which form one has, and its questions.
#pragma once

#include "base/files.h"
#include "eval/task.h"

#include <optional>

namespace shimmy::eval {

// `form`: found by the file's content if it is not given. Throws UsageError that names file, line and what is wrong.
Task read_task(const fs::path & file, std::optional<Form> form = std::nullopt);

// A task as people ask for it: the file, and what to do with it.
struct TaskSource {
    fs::path file;
    std::optional<Form> form = std::nullopt;
    size_t n_shots = 0;
    fs::path shots_file = {};  // that the examples are the first of; empty: `file`, whose first are then not asked
    size_t limit = 0;          // 0: all
    bool chat = false;         // asked through the chat template
};

// Questions with their examples, ready to be asked. Throws UsageError that names what is wrong.
Task load_task(const TaskSource & source);

// At most `n` questions: the first ones; of llama.cpp's forms those that llama-perplexity picks for --…-tasks n. Its
// order for HellaSwag is random (with a fixed seed) in any case. 0: all.
void limit(Task & task, size_t n);

}  // namespace shimmy::eval
