// One measurement through `shimmy serve` on loopback, as a client sees it.
#pragma once

#include "base/json.h"
#include "engine/run/sampling_options.h"

#include <string>
#include <vector>

namespace shimmy::lab {

struct HttpRunOptions {
    std::vector<std::string> server_command;  // without --bind, --parallel and --json
    std::vector<std::string> prompts;         // one, or what the clients of a load test ask in turn
    bool stream = true;
    int max_tokens = 100;
    engine::SamplingOptions sampling;
    int n_clients = 0;    // 0: one answer, cold and warm; otherwise a load test
    int duration_s = 30;  // of a load test
    int n_parallel = 0;   // requests that the server computes at once; 0: as many as there are clients
};

// Starts a server, asks, stops it. The document that docs/RESULTS.md describes. Throws Error with the reason.
Json measure_http(const HttpRunOptions & options);

}  // namespace shimmy::lab
