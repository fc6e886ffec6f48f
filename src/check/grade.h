// Does an answer fulfil its task.
#pragma once

#include "check/code.h"
#include "check/task.h"

#include <memory>
#include <string>
#include <vector>

namespace shimmy::check {

struct Answer {
    std::string text;
    bool ended = false;  // by the model itself, not by max_tokens or the context
    int n_tokens = 0;
};

// Looks for an interpreter only if a task needs one.
class Grader {
public:
    // Throws Error as PythonRunner does, if one of the tasks is code.
    explicit Grader(const std::vector<Task> & tasks, bool code_may_read_files = false);

    // Why the answer does not pass, each a sentence part after "it": "returns 8 for [7], not 13". Empty: it passes.
    std::vector<std::string> defects(const Task & task, const Answer & answer) const;

private:
    std::unique_ptr<PythonRunner> python_;
};

}  // namespace shimmy::check
