// One measurement through a server, as a client sees it: `shimmy serve` on loopback, or one that runs already.
#pragma once

#include "base/json.h"
#include "engine/run/sampling_options.h"
#include "lab/http/load_test.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::lab {

struct HttpRunOptions {
    std::vector<std::string> server_command;  // without --bind, --parallel and --json; empty: the server is at load.url
    int n_parallel = 0;                       // requests that the started server computes at once; 0: all clients'
    std::string prompt;                       // of one answer, cold and warm
    bool stream = true;
    int max_tokens = 100;
    engine::SamplingOptions sampling;
    std::chrono::milliseconds timeout{0};  // of a request; 0: none
    bool is_load = false;                  // a load test in place of one answer; `load.ask` is filled in
    bool is_sweep = false;
    LoadTestOptions load;
    bool chat = true;  // of a server at load.url; a started one says itself
    std::function<void(size_t done, size_t total)> on_step = [](size_t, size_t) {};  // of a sweep
};

// Starts a server if there is none, asks, stops it. The document that docs/RESULTS.md describes. Throws Error with the
// reason.
Json measure_http(const HttpRunOptions & options);

}  // namespace shimmy::lab
