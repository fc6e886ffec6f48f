// Many clients at once, each asking again as soon as it has its answer.
#pragma once

#include "base/json.h"
#include "lab/http/request.h"

#include <chrono>
#include <string>
#include <vector>

namespace shimmy::lab {

struct LoadTestOptions {
    std::string url;
    std::vector<Request> requests;  // streamed; client i begins with the i-th and goes on in turn
    int n_clients = 1;
    std::chrono::milliseconds duration{30000};
};

// The "load" part of docs/RESULTS.md: what arrived within the duration; what is then unfinished is given up. Throws
// Error if no answer brought two events, Interrupted on Ctrl-C.
Json run_load_test(const LoadTestOptions & options);

}  // namespace shimmy::lab
