#include "tune/goal.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::tune {

namespace {

// Below these a figure is mostly noise: a batch of a few tokens says nothing about prefill.
constexpr int LEAST_PROMPT = 64;
constexpr int LEAST_GEN = 8;
constexpr Lengths FIRST{128, 8};
constexpr double PROMPT_SHARE = 0.5;  // of a repetition's time, where both parts are cut short

}  // namespace

// A turn of a chat, where the conversation before is in the context; a coding agent's turn, which brings files and
// results of tools; a batch of short jobs; a question about a long document.
const std::vector<Goal> & goals() {
    static const std::vector<Goal> all{
        {"chat", 400, 300, 1}, {"agent", 3000, 400, 1}, {"batch", 400, 200, 8}, {"long-context", 16000, 500, 1}};
    return all;
}

const Goal & goal_named(const std::string & name) {
    std::string names;
    for (const Goal & goal : goals()) {
        if (goal.name == name) return goal;
        names += (names.empty() ? "" : ", ") + goal.name;
    }
    fail_usage("--for {}: is none of {}", name, names);
}

Goal fit_to_context(Goal goal, int n_ctx_train) {
    const int n_all = goal.n_prompt + goal.n_answer;
    if (n_ctx_train <= 0 || n_all <= n_ctx_train) return goal;
    goal.n_answer = std::max(1, goal.n_answer * n_ctx_train / n_all);
    goal.n_prompt = std::max(1, n_ctx_train - goal.n_answer);
    return goal;
}

Lengths first_lengths(const Goal & goal) {
    return {std::min(goal.n_prompt, FIRST.n_prompt), std::min(goal.n_answer, FIRST.n_gen)};
}

Lengths lengths_within(const Goal & goal, double prompt_token_ms, double gen_token_ms, double budget_ms) {
    const double prompt_ms = goal.n_prompt * prompt_token_ms;
    const double answer_ms = goal.n_answer * gen_token_ms;
    if (prompt_ms + answer_ms <= budget_ms) return {goal.n_prompt, goal.n_answer};
    // A part that needs less than its share leaves the rest to the other.
    const double for_prompt = std::max(budget_ms * PROMPT_SHARE, budget_ms - answer_ms);
    const double for_answer = std::max(budget_ms * (1.0 - PROMPT_SHARE), budget_ms - prompt_ms);
    const auto n_tokens = [](double ms, double token_ms, int least, int most) {
        return std::min(most, std::max(least, static_cast<int>(ms / token_ms)));
    };
    return {n_tokens(for_prompt, prompt_token_ms, LEAST_PROMPT, goal.n_prompt),
            n_tokens(for_answer, gen_token_ms, LEAST_GEN, goal.n_answer)};
}

double request_ms(const Goal & goal, const Lengths & lengths, double prompt_ms, double gen_ms) {
    return prompt_ms * goal.n_prompt / lengths.n_prompt + gen_ms * goal.n_answer / lengths.n_gen;
}

}  // namespace shimmy::tune
