// What the records of a load run come down to. The definitions are those of vLLM's `bench serve`:
//   TTFT  time to first token: request to its first event with text
//   ITL   inter-token latency: between neighbouring events with text of one answer (here `gap_ms`)
//   TPOT  time per output token: (E2E - TTFT) / (output tokens - 1), for answers of two tokens or more
//   E2E   end-to-end latency: request to its last event with text
//   goodput  requests per second that were answered within every limit
// with one difference: in an open loop TTFT and E2E count from the planned arrival and not from when the request was
// sent, so that a client that falls behind does not hide the wait (coordinated omission).
#pragma once

#include "base/json.h"
#include "lab/http/load_run.h"

#include <optional>
#include <vector>

namespace shimmy::lab {

// What a request must keep to count as good; absent: anything.
struct LatencyLimits {
    std::optional<double> ttft_ms;
    std::optional<double> tpot_ms;
    std::optional<double> e2e_ms;

    bool any() const { return ttft_ms || tpot_ms || e2e_ms; }
};

// Times of one answer; nullopt where it has none: no text, or one token.
std::optional<double> ttft_of(const RequestRecord & record);
std::optional<double> tpot_of(const RequestRecord & record);
std::optional<double> e2e_of(const RequestRecord & record);

// Answered, and within the limits. One token has no TPOT, which is within any.
bool is_good(const RequestRecord & record, const LatencyLimits & limits);

// The most requests that were under way at one time.
size_t max_in_flight(const std::vector<RequestRecord> & records);

// The "load" part of docs/RESULTS.md.
Json load_figures(const LoadPlan & plan, const LoadRun & run, const LatencyLimits & limits);

}  // namespace shimmy::lab
