// Questions with known answers, from a file of the user's, in the forms that lm-evaluation-harness and llama.cpp use.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::eval {

// The first five are JSON lines with the fields of the data set of that name and are scored as lm-evaluation-harness
// does; the last three are files of `llama-perplexity` and are scored as it does.
enum class Form { hellaswag, winogrande, arc, mmlu, gsm8k, llama_hellaswag, llama_winogrande, llama_multiple_choice };

const char * to_string(Form form);  // "llama-hellaswag"
std::vector<std::string> form_names();
std::optional<Form> form_named(const std::string & name);

// Answered in words, not chosen.
constexpr bool is_generated(Form form) {
    return form == Form::gsm8k;
}

// A file of llama-perplexity, scored by its rules.
constexpr bool is_llamas(Form form) {
    return form >= Form::llama_hellaswag;
}

// What is counted for each question. Choices: "acc", and "acc_norm" where their lengths differ. Generated answers:
// "exact_match" and "flexible_match".
std::vector<std::string> metrics(Form form);

// The likelihood of `continuation` after `context` is what a choice is judged by.
struct Choice {
    std::string context;
    std::string continuation;
    size_t n_chars = 1;  // of the choice without the space before it: code points
};

struct Question {
    size_t number = 0;            // in the file, from 1
    std::string subject = {};     // MMLU's; examples are of the same
    std::vector<Choice> choices;  // empty: answered in words
    std::vector<size_t> right;    // indices of choices
    std::string answer = {};      // in words
    // As an example before another question: the first alone is also the prompt of a generated answer.
    std::string example_prompt = {};
    std::string example_answer = {};
    std::string before = {};            // stands before the first example
    std::vector<size_t> examples = {};  // indices into Task::examples
};

struct Task {
    Form form = Form::hellaswag;
    std::vector<Question> questions;
    std::vector<Question> examples;  // that shots are taken from
};

// Puts `n_shots` examples before every question: the first of `examples` (of the question's subject). Without
// `examples` they are the first questions of the task itself, which are then not asked. Throws UsageError if there are
// too few.
void give_examples(Task & task, size_t n_shots, const Task * examples);

// What stands before the question itself: its examples.
std::string examples_text(const Task & task, const Question & question);

}  // namespace shimmy::eval
