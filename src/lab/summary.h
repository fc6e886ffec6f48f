// The campaign's figures: for every model and quantization, what offloading saves and costs.
#pragma once

#include "base/json.h"
#include "lab/plan.h"
#include "lab/result.h"
#include "lab/statistics.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::lab {

// One placement of one variant, over all its runs.
struct Figures {
    uint64_t vram_bytes = 0;  // model + KV cache + compute on the device; the largest of the runs
    Statistics ttft_ms;
    Statistics prefill_tps;
    Statistics decode_tps;
};

// One line of the table: a placement that offloads against the baseline.
struct Row {
    std::string model;
    std::string quantization;
    std::string model_sha256;
    uint64_t file_size_bytes = 0;
    engine::Placement placement;  // of `offload`
    Figures baseline;
    Figures offload;

    int64_t saved_bytes() const;   // VRAM baseline - VRAM offload
    double saved_percent() const;  // of the baseline
    double slowdown() const;       // median decode rate of the baseline / of the offload
};

// A run without which a row has no figures.
struct MissingRun {
    std::string what;  // "tiny-moe Q4_K_M offload, prompt train, repeat 1"
    std::string file;  // where its result belongs
    std::string reason;
    bool failed = false;  // it was made and failed; otherwise it is still to be made
};

// Facts that all runs share.
struct Conditions {
    std::string shimmy_version;
    std::string llama_cpp_version;
    Json device;  // name, description, backend, kind, software
    Json host;    // name, cpu, os, n_cores, ram_bytes
    int n_threads = 0;
    std::string first_run_at;  // UTC, ISO 8601
    std::string last_run_at;
};

struct Summary {
    Campaign campaign;
    Conditions conditions;  // empty if no run is valid
    std::vector<Row> rows;  // only rows of which every run is valid
    std::vector<MissingRun> missing;
    size_t n_valid_runs = 0;

    bool complete() const { return missing.empty(); }
};

// `results` runs parallel to `runs`. Throws Error if valid results come from different devices, hosts, thread counts
// or program versions: they must not share a table.
Summary summarize_campaign(const Campaign & campaign, const std::vector<Variant> & variants,
                           const std::vector<std::string> & sha256, const std::vector<Run> & runs,
                           const std::vector<StoredResult> & results);

// The same as a document: bytes, ms, tokens/s, with n, quartiles, mean and standard deviation.
Json to_json(const Summary & summary);

}  // namespace shimmy::lab
