// What the runs through a server come down to: streaming against not streaming, and many clients at once.
#pragma once

#include "lab/measure/cells.h"
#include "lab/measure/statistics.h"
#include "lab/plan/campaign_plan.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// Runs with and without streaming that differ in nothing else, pair by pair of the same prompt and repeat.
struct StreamingComparison : CellKey {
    size_t n_same_text = 0;  // pairs whose texts are equal
    // By how many percent streaming takes longer (negative: shorter), and its decode rate is higher; n is the pairs.
    Statistics total_percent = {};
    Statistics decode_percent = {};
    size_t n_stream_runs = 0;  // valid ones, whose events were checked
    size_t n_sse_defects = 0;
    std::string first_sse_defect = {};
};

// Percentiles, over the repeats the median of each.
struct Percentiles {
    double p50 = 0.0;
    double p90 = 0.0;
    double p99 = 0.0;
};

struct LoadFigures : CellKey {
    int n_clients = 0;
    size_t n_runs = 0;
    uint64_t vram_bytes = 0;
    Statistics total_tps = {};
    Percentiles ttft_ms = {};
    Percentiles gap_ms = {};  // between two events of one answer
    uint64_t n_requests = 0;
    uint64_t n_failed_requests = 0;
    uint64_t n_sse_defects = 0;
};

// Only what at least one pair is there for.
std::vector<StreamingComparison> compare_streaming(const CampaignPlan & plan);

// Only what at least one run is there for.
std::vector<LoadFigures> load_figures(const CampaignPlan & plan);

}  // namespace shimmy::lab
