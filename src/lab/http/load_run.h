// Requests sent to a server by a plan, and what came back, one record each.
#pragma once

#include "lab/http/request.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace shimmy::lab {

// The turns of a conversation, sent one after the other, each with what was said before it. One turn: a request.
// Turn bodies are whole requests whose "messages" (or "prompt") hold only what is new.
using Session = std::vector<Request>;

struct LoadPlan {
    std::string url;
    std::string api_key = {};  // empty: none
    std::vector<Session> sessions;
    // Closed loop: each of n_clients begins the next session once its last has ended; client i begins with the i-th.
    // Open loop (`arrivals_ms` not empty): session i begins at arrivals_ms[i], whether others have ended or not, as
    // long as fewer than n_clients are under way; one that has to wait is late, and its latencies hold the wait.
    int n_clients = 1;
    std::vector<double> arrivals_ms = {};
    std::chrono::milliseconds duration{30000};  // of a closed loop; what is then unfinished is given up
    uint64_t n_sessions = 0;                    // of a closed loop, in all; 0: as many as the duration allows
    std::chrono::milliseconds timeout{0};       // of a request; 0: none

    bool is_open() const { return !arrivals_ms.empty(); }
};

// Times in ms since the run's start.
struct RequestRecord {
    size_t session = 0;  // of the plan; modulo its number of sessions
    size_t turn = 0;
    double planned_ms = 0.0;
    double sent_ms = 0.0;
    double end_ms = 0.0;
    std::vector<double> text_ms = {};  // of each event with text
    uint64_t n_prompt_tokens = 0;      // 0: the server does not say
    uint64_t n_output_tokens = 0;      // the server's count; without one, events with text
    uint64_t n_sse_defects = 0;
    std::string error = {};
    bool stopped = false;  // neither answered nor failed: the run ended
    bool timed_out = false;

    bool answered() const { return !stopped && error.empty(); }
};

struct LoadRun {
    std::vector<RequestRecord> records;  // in the order in which they were sent
    double duration_ms = 0.0;            // to the end of the last, or of the run
    bool interrupted = false;            // by Ctrl-C
};

LoadRun run_load(const LoadPlan & plan);

}  // namespace shimmy::lab
