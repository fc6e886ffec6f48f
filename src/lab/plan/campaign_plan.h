// What a campaign has to do and has done: model files, runs, and the results that are there.
#pragma once

#include "base/process/subprocess.h"
#include "lab/plan/plan.h"
#include "lab/plan/result.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace shimmy::lab {

// What a campaign needs from outside; tests put their own in.
struct Hooks {
    // Runs `argv` in a fresh process; throws Interrupted on Ctrl-C.
    std::function<ProcessResult(const std::vector<std::string> & argv, std::chrono::milliseconds timeout)> launch;
    std::function<InputInfo(const CampaignModel & model)> read_input;
    // Bytes that making a variant's file would write, and that loading it would read (a sparse file writes none); and
    // the work itself: whole and verified, or an Error.
    std::function<uint64_t(const Campaign & campaign, const Variant & variant)> variant_bytes;
    std::function<uint64_t(const Campaign & campaign, const Variant & variant)> loaded_bytes;
    std::function<void(const Campaign & campaign, const Variant & variant, const ByteProgress & progress)> make_variant;
    // How many files a search for the variant's types makes and measures. Asked only of mixes that are searched.
    std::function<size_t(const Campaign & campaign, const Variant & variant)> n_searched_files;
    // Called before anything is made, if there is something to run. Throws Error where the campaign's device is no GPU
    // of this machine. Empty: the runs are made elsewhere.
    std::function<void(const Campaign & campaign)> check_device;
};

struct CampaignOptions {
    std::string program;        // path of shimmy, for the runs
    Backends backends;          // passed on to them
    std::string command;        // what the user would type to do this again, for reports
    bool quiet = false;         // no progress on stderr
    std::string only;           // pattern of the runs to make, as matches() takes it; empty: all
    bool retry_failed = false;  // make failed runs and files again; otherwise they stay failed
    bool dry_run = false;       // nothing will be made
};

struct CampaignPlan {
    Campaign campaign;
    Backends backends;
    std::string command;
    std::string program_version;    // "shimmy 0.1.0 (llama.cpp 0.5.0)"
    std::vector<InputInfo> inputs;  // parallel to campaign.models
    std::vector<Variant> variants;
    std::vector<std::string> sha256;    // of the variants' files; empty for a file that is not there
    std::vector<std::string> errors;    // why a variant's file could not be made; empty if it could, or was not tried
    std::vector<Run> runs;              // in the order in which they are made
    std::vector<StoredResult> results;  // parallel to `runs`

    const Variant & variant_of(size_t run) const { return variants.at(runs.at(run).variant); }
    Json settings_of(size_t run) const;
    fs::path result_path_of(size_t run) const;
    std::string describe_run(size_t run) const;
};

// Reads every model's metadata and hashes the files that exist (with progress: they are large; a dry run of a campaign
// that has no folder yet leaves it). Changes nothing but
// the cache of hashes, and that only if the campaign's folder is there. Throws Error for what cannot be measured.
CampaignPlan plan_campaign(const Campaign & campaign, const CampaignOptions & options, const Hooks & hooks);

// Reads the result files again.
void look_up_results(CampaignPlan & plan);

// Variants (indices) whose file is still to be made, and runs that are still to be made, under the options' selection.
std::vector<size_t> variants_to_make(const CampaignPlan & plan, const CampaignOptions & options);
std::vector<size_t> runs_to_make(const CampaignPlan & plan, const CampaignOptions & options);

// A shell pattern over "<model>/<type>/<placement>/<mode>/<prompt>-<repeat>", found anywhere in it: "Q4_K_M",
// "phi*offload", "train-[12]".
bool matches(const CampaignPlan & plan, size_t run, const std::string & pattern);

}  // namespace shimmy::lab
