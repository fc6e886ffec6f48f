// The files that llama-perplexity takes for --hellaswag, --winogrande and --multiple-choice.
#pragma once

#include "eval/task.h"

#include <string_view>

namespace shimmy::eval {

// Six lines per question: context, index of the right ending, four endings. Throws UsageError with the line.
std::vector<Question> read_llama_hellaswag(std::string_view content);

// Lines of number, sentence with a blank (_), two options, 1 or 2.
std::vector<Question> read_llama_winogrande(std::string_view content);

// Binary: how many, where each begins, then questions with answers of which any number may be right.
std::vector<Question> read_llama_multiple_choice(std::string_view content);

// By the first lines; nullopt: none of the three.
std::optional<Form> llama_form_of(std::string_view content);

// The indices of the `n_picked` of `n` questions that llama-perplexity takes, in its order.
std::vector<size_t> picked_by_llama(Form form, size_t n, size_t n_picked);

}  // namespace shimmy::eval
