// Load on a server as a user asks for it: many clients, a rate, a trace, or a sweep over rates.
#pragma once

#include "base/json.h"
#include "lab/http/arrivals.h"
#include "lab/http/load_figures.h"
#include "lab/http/workload.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::lab {

struct LoadTestOptions {
    std::string url;
    std::string api_key = {};
    std::vector<Talk> talks;  // asked in turn
    AskAs ask;
    int n_clients = 1;  // closed loop; open loop: the most requests under way
    std::chrono::milliseconds duration{30000};
    uint64_t n_requests = 0;  // conversations, in place of the duration; 0: not given
    double rate = 0.0;        // open loop: conversations per second; 0: closed loop
    Arrivals arrivals = Arrivals::constant;
    uint64_t seed = 42;                    // of Poisson arrivals
    bool is_trace = false;                 // open loop at the talks' own times
    std::chrono::milliseconds timeout{0};  // of a request; 0: none
    LatencyLimits limits;
};

// The "load" part of docs/RESULTS.md. A closed loop gives up what is unfinished after the duration; an open one waits
// for what it sent. After Ctrl-C, what there is by then. Throws Error if no answer brought two events, Interrupted if
// nothing was sent.
Json run_load_test(const LoadTestOptions & options);

// Finds how much the server does: as fast as n_clients can ask, then open loops at parts of that rate and beyond it.
// {"steps": […load…], "max_requests_per_s", "saturated_at_rate", "best_goodput_per_s"}; the last two are null without
// such a step. `on_step(done, total)` may throw Interrupted; Ctrl-C gives the steps so far.
Json run_sweep(const LoadTestOptions & options, const std::function<void(size_t done, size_t total)> & on_step);

}  // namespace shimmy::lab
