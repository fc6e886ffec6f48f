#include "eval/task.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <utility>

namespace shimmy::eval {

namespace {

constexpr std::array<std::pair<Form, const char *>, 8> NAMES{{{Form::hellaswag, "hellaswag"},
                                                              {Form::winogrande, "winogrande"},
                                                              {Form::arc, "arc"},
                                                              {Form::mmlu, "mmlu"},
                                                              {Form::gsm8k, "gsm8k"},
                                                              {Form::llama_hellaswag, "llama-hellaswag"},
                                                              {Form::llama_winogrande, "llama-winogrande"},
                                                              {Form::llama_multiple_choice, "llama-multiple-choice"}}};
constexpr const char * EXAMPLE_END = "\n\n";

}  // namespace

const char * to_string(Form form) {
    return std::find_if(NAMES.begin(), NAMES.end(), [&](const auto & name) { return name.first == form; })->second;
}

std::vector<std::string> form_names() {
    std::vector<std::string> names;
    for (const auto & [form, name] : NAMES)
        names.emplace_back(name);
    return names;
}

std::optional<Form> form_named(const std::string & wanted) {
    for (const auto & [form, name] : NAMES) {
        if (wanted == name) return form;
    }
    return std::nullopt;
}

std::vector<std::string> metrics(Form form) {
    switch (form) {
        case Form::gsm8k:
            return {"exact_match", "flexible_match"};
        case Form::mmlu:  // letters, and the same rest of a sentence, are equally long
        case Form::winogrande:
        case Form::llama_winogrande:
            return {"acc"};
        default:
            return {"acc", "acc_norm"};
    }
}

void give_examples(Task & task, size_t n_shots, const Task * examples) {
    if (n_shots == 0) return;
    if (examples != nullptr && examples->form != task.form)
        fail_usage("the examples have the form {}, and the task {}", to_string(examples->form), to_string(task.form));
    std::vector<Question> asked;
    task.examples = examples != nullptr ? examples->questions : std::vector<Question>();
    if (examples == nullptr) {
        for (Question & question : task.questions) {
            const auto n_taken = std::count_if(task.examples.begin(), task.examples.end(), [&](const Question & taken) {
                return taken.subject == question.subject;
            });
            (static_cast<size_t>(n_taken) < n_shots ? task.examples : asked).push_back(std::move(question));
        }
        task.questions = std::move(asked);
        if (task.questions.empty())
            fail_usage("--shots {} leaves no question to ask: give the examples in a file (--shots-file)", n_shots);
    }
    for (Question & question : task.questions) {
        for (size_t i = 0; i < task.examples.size() && question.examples.size() < n_shots; ++i) {
            if (task.examples[i].subject == question.subject) question.examples.push_back(i);
        }
        if (question.examples.size() < n_shots)
            fail_usage("--shots {}: there are {} examples for question {}{}", n_shots, question.examples.size(),
                       question.number, question.subject.empty() ? "" : " (" + question.subject + ")");
    }
}

std::string examples_text(const Task & task, const Question & question) {
    // What follows a blank brings its own space.
    const char * space = task.form == Form::llama_winogrande ? "" : " ";
    std::string text = question.before;
    for (const size_t i : question.examples)
        text += task.examples[i].example_prompt + space + task.examples[i].example_answer + EXAMPLE_END;
    return text;
}

}  // namespace shimmy::eval
