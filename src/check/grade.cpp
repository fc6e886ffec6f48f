#include "check/grade.h"

#include "base/text/text.h"
#include "check/arithmetic.h"
#include "check/degeneration.h"
#include "check/verse.h"
#include "check/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace shimmy::check {

namespace {

void append(std::vector<std::string> & all, const std::vector<std::string> & more) {
    all.insert(all.end(), more.begin(), more.end());
}

std::vector<std::string> missing_concepts(const Task & task, const std::string & text) {
    const std::string answer = lower(text);
    std::vector<std::string> missing;
    for (const Concept & wanted : task.concepts) {
        const bool covered = std::any_of(wanted.words.begin(), wanted.words.end(), [&](const std::string & word) {
            return answer.find(lower(word)) != std::string::npos;
        });
        if (!covered) missing.push_back(fmt::format("does not mention {}", fmt::join(wanted.words, " or ")));
    }
    return missing;
}

std::vector<std::string> arithmetic_defects(const Task & task, const std::string & text) {
    std::vector<std::string> defects;
    for (const std::string & step : wrong_steps(text))
        defects.push_back("has a wrong step: " + step);
    const std::vector<double> numbers = final_numbers(text);
    const bool there = std::any_of(numbers.begin(), numbers.end(), [&](double number) {
        return std::abs(number - task.result) <= 1e-9 * std::max(1.0, std::abs(task.result));
    });
    if (numbers.empty()) {
        defects.push_back(fmt::format("gives no number, where {:g} is right", task.result));
    } else if (!there) {
        defects.push_back(fmt::format("ends on {:g}, where {:g} is right", fmt::join(numbers, ", "), task.result));
    }
    return defects;
}

}  // namespace

Grader::Grader(const std::vector<Task> & tasks, bool code_may_read_files) {
    if (std::any_of(tasks.begin(), tasks.end(), [](const Task & task) { return task.kind == Kind::code; }))
        python_ = std::make_unique<PythonRunner>(code_may_read_files);
}

std::vector<std::string> Grader::defects(const Task & task, const Answer & answer) const {
    std::vector<std::string> found = degenerations(task.prompt, answer.text);
    if (!answer.ended) found.push_back(fmt::format("did not end within {} tokens", answer.n_tokens));
    append(found, missing_concepts(task, answer.text));
    switch (task.kind) {
        case Kind::code: {
            const std::string code = extract_python(answer.text);
            append(found,
                   code.empty() ? std::vector<std::string>{"holds no Python function"} : python_->defects(code, task));
            break;
        }
        case Kind::arithmetic:
            append(found, arithmetic_defects(task, answer.text));
            break;
        case Kind::verse:
            append(found, verse_defects(answer.text, {task.min_lines, task.min_stanzas, task.lines_per_stanza,
                                                      task.max_words_per_line}));
            break;
        case Kind::explanation:
            break;
    }
    return found;
}

}  // namespace shimmy::check
