// Lines of JSON as questions: prompts, choices and targets as in lm-evaluation-harness's tasks of the same names.
#pragma once

#include "base/json.h"
#include "eval/task.h"

#include <string>

namespace shimmy::eval {

// The form whose fields an object has; nullopt: none's.
std::optional<Form> form_of(const Json & line);

// Throws UsageError that says what is missing or wrong, without file and line.
Question read_question(const Json & line, Form form);

}  // namespace shimmy::eval
