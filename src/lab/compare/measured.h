// A campaign as its folder tells it, for comparing: read from summary.json, which every version of shimmy writes alike,
// so that the folder may come from another machine or an older version.
#pragma once

#include "base/files.h"
#include "base/json.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace shimmy::lab {

inline constexpr const char * UNKNOWN = "-";  // a fact that a summary does not have

// One thing that the figures depend on and that is no figure.
struct Fact {
    std::string name;  // "llama.cpp version"
    std::string value;
};

struct MeasuredRun {
    std::string prompt_id;
    int repeat = 1;
    double decode_tps = 0.0;
    double prefill_tps = 0.0;
    double ttft_ms = 0.0;
};

// What tells cells and load tests apart.
struct MeasuredKey {
    std::string model;
    std::string quantization;
    std::string placement;
    std::string mode;
    std::string settings;   // of [axes]: "threads 4, ubatch 512"
    int n_clients = 0;      // of load tests
    std::string task = {};  // id, of scores; these have neither placement nor mode

    auto operator<=>(const MeasuredKey &) const = default;  // NOLINT(modernize-use-nullptr): of clang-tidy 14
    std::string text() const;                               // "tiny-moe Q4_K_M offload, generate, threads 4"
};

struct MeasuredCell {
    uint64_t vram_bytes = 0;
    std::vector<MeasuredRun> runs;
    std::map<std::string, std::string> answers;  // by prompt
};

// Tokens/s of all clients.
struct MeasuredLoad {
    size_t n = 0;
    double mean = 0.0;
    double half_width = 0.0;  // of the 95% interval; 0 for one run
    uint64_t vram_bytes = 0;
};

// A file's score on a task, by the metric that decides.
struct MeasuredTask {
    std::string asked;   // what was asked, and how: the task's content and settings
    std::string metric;  // "acc_norm"
    double share = 0.0;
    std::map<uint64_t, bool> right;  // by question; empty: the result file is not there
};

struct MeasuredCampaign {
    fs::path folder;
    std::string name;
    std::string version;  // "shimmy 0.2.0, llama.cpp 0.5.0"
    std::vector<Fact> facts;
    std::map<std::string, std::string> prompts;                        // text by id
    std::map<std::pair<std::string, std::string>, std::string> files;  // sha256 by model and quantization
    std::map<MeasuredKey, MeasuredCell> cells;                         // those with figures
    std::map<MeasuredKey, MeasuredLoad> load;
    std::map<MeasuredKey, MeasuredTask> tasks;
};

// `folder` holds summary.json: the output folder of a campaign, or a bundle. Throws Error if it does not, or if it
// cannot be understood.
MeasuredCampaign read_measured(const fs::path & folder);

}  // namespace shimmy::lab
