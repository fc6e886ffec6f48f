// What a model is tuned for: how long a request is, how many come at once, and what is measured in its place.
#pragma once

#include <string>
#include <vector>

namespace shimmy::tune {

struct Goal {
    std::string name;  // of `shimmy tune --for`
    int n_prompt = 0;  // tokens that a request brings and the model has not computed yet
    int n_answer = 0;
    int n_clients = 1;  // requests at once, all alike
};

const std::vector<Goal> & goals();
// Throws UsageError listing the names.
const Goal & goal_named(const std::string & name);
// Shortened, in the same proportion, to what the model's context holds.
Goal fit_to_context(Goal goal, int n_ctx_train);

// Tokens of one repetition; the same for every setting.
struct Lengths {
    int n_prompt = 0;
    int n_gen = 0;
};

// A first look, whatever the speed.
Lengths first_lengths(const Goal & goal);
// The goal's own, or as much of them as `budget_ms` allows at these rates (ms per token of a request).
Lengths lengths_within(const Goal & goal, double prompt_token_ms, double gen_token_ms, double budget_ms);

// Time of one request of the goal, from what `lengths` took.
double request_ms(const Goal & goal, const Lengths & lengths, double prompt_ms, double gen_ms);

}  // namespace shimmy::tune
