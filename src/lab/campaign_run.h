// Runs a campaign: quantizes what is missing, measures what is not measured yet, sums up.
#pragma once

#include "base/subprocess.h"
#include "engine/quantize.h"
#include "lab/summary.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::lab {

// What a campaign needs from outside; tests put their own in.
struct Hooks {
    // Runs `argv` in a fresh process; throws Interrupted on Ctrl-C.
    std::function<ProcessResult(const std::vector<std::string> & argv, std::chrono::milliseconds timeout)> launch;
    std::function<InputInfo(const fs::path & file)> read_input;
    // Bytes that quantizing would write, and the work itself: whole or not at all.
    std::function<uint64_t(const fs::path & input, const std::string & type)> quantized_bytes;
    std::function<void(const engine::QuantizeOptions & options, const ByteProgress & progress)> quantize;
};

// The program itself, libllama's quantizer, the real files.
Hooks real_hooks();

struct CampaignOptions {
    std::string program;               // path of shimmy, for the runs
    std::string gpu_backend = "auto";  // passed on to them
    std::string command;               // what the user would type to do this again, for reports
    bool quiet = false;                // no progress on stderr
};

// What there is to do, found without changing anything.
struct CampaignPlan {
    std::vector<Variant> variants;
    std::vector<Run> runs;              // in the order in which they will be made
    std::vector<std::string> sha256;    // of the variants' files; empty for a file that is still to be made
    std::vector<StoredResult> results;  // parallel to `runs`
    std::vector<size_t> to_quantize;    // indices into `variants`
    std::vector<size_t> to_run;         // indices into `runs`
};

// Reads every model's metadata and hashes the files that exist (with progress: they are large). Throws Error for what
// cannot be measured, before any work.
CampaignPlan plan_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks);

// Does it all. A run that fails is recorded and does not stop the others; Ctrl-C throws Interrupted and leaves every
// finished result. Writes the results, report.md and summary.json under campaign.out_dir. Throws Error for what makes
// every further run pointless: a full disk, no GPU to compare on.
Summary run_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks);

}  // namespace shimmy::lab
