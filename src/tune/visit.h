// Measures one point: `shimmy bench` in a fresh process, so that a user can repeat it, and nothing is left in memory of
// the point before.
#pragma once

#include "base/json.h"
#include "base/process/subprocess.h"
#include "tune/goal.h"
#include "tune/tuner.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::tune {

struct VisitOptions {
    std::string program;
    std::string model;                    // file
    std::vector<std::string> given;       // options of the user's, for every measurement
    std::vector<std::string> llama_args;  // behind "--"
    Goal goal;
    Lengths lengths;
    int n_ctx = 0;  // of one request
    int n_repeats = 2;
    std::chrono::milliseconds timeout{0};  // none
};

// "shimmy bench …": as it is run.
std::vector<std::string> visit_command(const VisitOptions & visit, const std::vector<std::string> & options);

// "shimmy generate …": an answer of `n_tokens` that the model chooses, for what depends on its text.
std::vector<std::string> answer_command(const VisitOptions & visit, const std::vector<std::string> & options,
                                        const std::string & prompt, int n_tokens);
Figure run_answer(const VisitOptions & visit, const std::vector<std::string> & options, const std::string & prompt,
                  int n_tokens);
Figure read_answer(const VisitOptions & visit, const ProcessResult & result);

// What it printed; Figure::error where it failed.
struct Visit {
    Json document;
    Figure figure;
    double prompt_ms = 0.0;  // of the faster repetition
    double gen_ms = 0.0;
};

Visit run_visit(const VisitOptions & visit, const std::vector<std::string> & options);
// The same from the end of such a process, for tests.
Visit read_visit(const VisitOptions & visit, const ProcessResult & result);

}  // namespace shimmy::tune
