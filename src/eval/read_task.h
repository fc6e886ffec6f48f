// Task files: which form one has, and its questions.
#pragma once

#include "base/files.h"
#include "eval/task.h"

#include <optional>

namespace shimmy::eval {

// `form`: found by the file's content if it is not given. Throws UsageError that names file, line and what is wrong.
Task read_task(const fs::path & file, std::optional<Form> form = std::nullopt);

// At most `n` questions: the first ones; of llama.cpp's forms those that llama-perplexity picks for --…-tasks n. Its
// order for HellaSwag is random (with a fixed seed) in any case. 0: all.
void limit(Task & task, size_t n);

}  // namespace shimmy::eval
