// Runs the Python function of an answer against cases, confined.
#pragma once

#include "check/sandbox/sandbox.h"
#include "check/task.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::check {

// The Python in an answer: its fenced blocks that define a function, else the lines from the first `def` or `import` on
// that are code by their indentation. Empty: there is none.
std::string extract_python(const std::string & answer);

// Why what a run said of the cases, in lines of JSON behind `mark`, is not what they ask; empty if it is. The code may
// say anything there.
std::vector<std::string> judge(const SandboxResult & run, const std::string & mark, const Task & task);

class PythonRunner {
public:
    // Finds the interpreter. Throws Error if there is none, or if this machine cannot confine it: without Landlock,
    // code could read what this user can, which must be allowed.
    explicit PythonRunner(bool may_read_files = false);

    // Why the code does not do what the cases ask; empty if it does.
    std::vector<std::string> defects(const std::string & code, const Task & task) const;

private:
    SandboxLimits limits() const;

    std::string interpreter_;
    std::vector<std::filesystem::path> readable_;
    bool hides_paths_;
};

}  // namespace shimmy::check
