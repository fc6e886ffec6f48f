// Options of `shimmy lab http` for load: who asks, what, how fast, and what is good enough.
#pragma once

#include "lab/http/load_test.h"

#include <CLI/CLI.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::cli {

struct LoadArguments {
    std::string url;
    std::string served_model;
    std::string api_key_file;
    bool completions = false;
    int n_clients = 0;
    int n_parallel = 0;
    int duration_s = 30;
    uint64_t n_requests = 0;
    std::optional<double> timeout_s;
    double rate = 0.0;
    std::string arrivals = "constant";
    uint64_t arrivals_seed = 42;
    std::string trace;
    double speed = 1.0;
    bool sweep = false;
    std::string prompts_file;
    size_t n_turns = 1;
    std::string system_file;
    bool ignore_eos = false;
    std::optional<double> max_ttft_ms;
    std::optional<double> max_tpot_ms;
    std::optional<double> max_e2e_ms;

    bool is_load() const { return n_clients > 0 || rate > 0.0 || !trace.empty() || sweep; }
    // Throws UsageError for an option that only a load test has.
    void refuse_without_load() const;
    std::chrono::milliseconds timeout() const;
    // Requests that a server which is started computes at once; 0: as many as there are clients.
    int n_slots() const;
    // Reads the files. `prompts`: those of --prompt. Throws UsageError.
    lab::LoadTestOptions options(const std::vector<std::string> & prompts) const;
};

// Returns the option that says how many clients ask. `arguments` must live as long as the command.
CLI::Option * add_load_test_options(CLI::App & command, LoadArguments & arguments);

}  // namespace shimmy::cli
