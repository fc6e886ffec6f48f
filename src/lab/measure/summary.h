// The campaign's figures: for every model and quantization, what offloading saves and costs.
#pragma once

#include "base/host/host.h"
#include "lab/measure/cells.h"
#include "lab/measure/effects.h"
#include "lab/measure/http_summary.h"
#include "lab/measure/task_figures.h"
#include "lab/plan/campaign_plan.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// One line of the table: a placement that offloads against the baseline.
struct Row : CellKey {  // the placement is that of `offload`
    std::string model_sha256;
    uint64_t file_size_bytes = 0;
    Mode mode = Mode::generate;
    Figures baseline;
    Figures offload;
    bool at_base = true;  // its point is what other points are compared with

    int64_t saved_bytes() const;   // VRAM baseline - VRAM offload
    double saved_percent() const;  // of the baseline
    double slowdown() const;       // median decode rate of the baseline / of the offload
};

// A run without which a row has no figures.
struct MissingRun {
    std::string model;
    std::string quantization;
    std::string what;  // "tiny-moe Q4_K_M offload, prompt train, repeat 1"
    std::string file;  // where its result belongs
    std::string reason;
    bool failed = false;  // it was made and failed; otherwise it is still to be made
};

// The device of a run, as its result has it.
struct DeviceFacts {
    std::string name;         // "CUDA0"
    std::string description;  // "NVIDIA H100 80GB HBM3"
    std::string backend;      // "CUDA"
    std::string kind;         // "gpu"
    bool software = false;    // its speed is not a GPU's
};

// Facts that all runs share; task runs, which measure no time, may use another device.
struct Conditions {
    std::string shimmy_version;
    std::string llama_cpp_version;
    DeviceFacts device;
    Host host;
    int n_threads = 0;         // 0: they vary
    std::string first_run_at;  // UTC, ISO 8601
    std::string last_run_at;
};

// A part of a model file that is split for the Hub.
struct FilePart {
    std::string file;  // name
    uint64_t size_bytes = 0;
    std::string sha256;
};

// A model file as documents name it.
struct MeasuredFile {
    std::string model;
    std::string quantization;
    std::string file;                  // path
    std::string sha256;                // empty if the file is not there
    uint64_t file_size_bytes = 0;      // as its runs saw it; 0 if there are none
    std::string error;                 // why it could not be made; empty if it could
    std::string mix = {};              // what it is made of, if it is a mix (Mix::recipe)
    std::vector<FilePart> parts = {};  // as it is published; empty: whole. Not in summary.json
};

struct Summary {
    Campaign campaign;
    Conditions conditions;          // empty if no run is valid
    std::vector<InputInfo> inputs;  // parallel to campaign.models
    std::vector<MeasuredFile> variants;
    std::vector<Row> rows;  // only rows of which every run is valid; of table_mode()
    std::vector<Cell> cells;
    std::vector<StreamingComparison> streaming;
    std::vector<LoadFigures> load;
    std::vector<TaskFigures> tasks;
    std::vector<AxisEffect> effects;  // none without axes
    std::vector<Interaction> interactions;
    std::vector<MissingRun> missing;
    size_t n_valid_runs = 0;

    bool complete() const { return missing.empty(); }
    bool has_figures() const { return !conditions.shimmy_version.empty(); }  // beside scores of tasks

    // Each throws Error if the campaign has no such model or file.
    const CampaignModel & model(const std::string & name) const;
    const InputInfo & input(const std::string & model) const;
    const MeasuredFile & variant(const std::string & model, const std::string & quantization) const;

    // The mode that rows are of: `generate`, or else the campaign's first.
    Mode table_mode() const;
};

// Of what is there. Throws Error if valid results come from different devices, hosts, thread counts or program
// versions: they must not share a table.
Summary summarize_campaign(const CampaignPlan & plan);

// A model of the campaign as its card names its languages: the campaign's, or those of the file.
std::vector<std::string> languages_of(const Summary & summary, const std::string & model);

// The command that makes what is missing, from the one that made the campaign.
std::string rerun_command(const Summary & summary, const std::string & command);

}  // namespace shimmy::lab
