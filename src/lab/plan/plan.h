// What a campaign comes down to: model files to have, and runs to make, in their order.
#pragma once

#include "engine/load/placement.h"
#include "lab/campaign/campaign.h"

#include <string>
#include <vector>

namespace shimmy::lab {

// What the plan must know of a campaign's model file, read from its metadata.
struct InputInfo {
    std::string quantization;        // "F16", "MXFP4", …: llama.cpp's name of the file's type
    bool already_quantized = false;  // not F32, F16 or BF16
    int n_expert = 0;
    int n_layer = 0;
    int n_ctx_train = 0;
    std::string arch = {};                    // "phimoe"
    std::vector<std::string> languages = {};  // general.languages of the file
    std::string prompt_format = {};           // what its chat template makes of a question; empty: not known
    std::string sampling = {};                // what it recommends, as options; empty: nothing
};

// One model file to be measured.
struct Variant {
    std::string model;         // CampaignModel::name
    std::string quantization;  // as tables show it, never INPUT_AS_IS
    fs::path path;
    fs::path input;  // what to quantize; equal to `path` if there is nothing to quantize; empty: made of a shape
    size_t campaign_model = 0;  // index into campaign.models

    bool is_input() const { return path == input; }
};

// The type that llama.cpp calls the variant's file by: of a mix, that of most tensors. Empty: only the file tells.
std::string file_type(const Campaign & campaign, const Variant & variant);

// Variants in the campaign's order; `inputs` runs parallel to campaign.models. Throws Error with the reason for what
// cannot be measured: no experts to offload, quantizing what is already quantized, more layers asked for than there
// are, a context beyond the model's, another architecture than expected.
std::vector<Variant> plan_variants(const Campaign & campaign, const std::vector<InputInfo> & inputs);

// One measurement: one process.
struct Run {
    size_t variant = 0;  // index into the variants
    engine::Placement placement;
    size_t prompt = 0;  // index into campaign.prompts; of a load run, where its clients begin
    int repeat = 1;     // from 1
    Mode mode = Mode::generate;
    int n_clients = 0;  // of a load run
    Point point = {};   // its settings beside the campaign's own, those that apply to it
    size_t task = 0;    // of a task run: index into campaign.tasks
};

// Of the campaign's design: what applies to runs of this mode and placement.
RunKind run_kind(Mode mode, engine::Placement placement);

// The first point of the campaign's design, as far as it applies: what other points are compared with.
Point base_point(const Campaign & campaign, Mode mode, engine::Placement placement);

// Repeats are the outer loop, so that a slow drift of the machine (heat, neighbours) touches every cell alike, and
// points, modes and placements the inner ones, so that what is compared is measured back to back. Load runs come last.
// Points that differ only in what does not apply to a mode and placement are one run.
std::vector<Run> plan_runs(const Campaign & campaign, size_t n_variants);

// The same, and then a run for each task and file. Synthetic models answer none: their weights are random.
std::vector<Run> plan_runs(const Campaign & campaign, const std::vector<Variant> & variants);

// `<out_dir>/results/<model>/<quantization>/<placement>/<mode>/<prompt>-<repeat>.json`, of a load run
// `…/load/<clients>-<repeat>.json`, of a task run `…/task/<id>-1.json`; where the campaign has axes, with a folder as
// "threads=4,ubatch=512" below the mode
fs::path result_folder(const Campaign & campaign, const std::string & model, const std::string & quantization,
                       engine::Placement placement, Mode mode, const Point & point);
fs::path result_path(const Campaign & campaign, const Variant & variant, const Run & run);

// Where the run writes which experts every token chose: `<prompt>-<repeat>.trace.csv` beside its result. Empty for runs
// that write none: only the first repeat does, in one process and with experts in RAM, if the campaign asks for it.
fs::path trace_path(const Campaign & campaign, const Variant & variant, const Run & run);

// "tiny-moe Q4_K_M offload, prompt train, repeat 1", "tiny-moe Q4_K_M offload stream, prompt train, repeat 1",
// "tiny-moe Q4_K_M offload load, 4 clients, repeat 1"
std::string describe(const Campaign & campaign, const Variant & variant, const Run & run);

// What `lab run` was told about ggml's modules, passed on to every run.
struct Backends {
    std::string gpu = "auto";       // as in --gpu-backend
    std::string moe = "auto";       // as in --moe-backend
    std::string moe_cache = "off";  // as in --moe-cache; a placement is measured without one unless it is asked for
};

// What every run has, as the campaign or the run's point says.
struct RunOptions {
    int n_ctx = 0;
    int n_threads = 0;  // 0: one per physical core
    int max_tokens = 0;
    std::string moe_backend;
    std::string moe_cache;
};
RunOptions run_options(const Campaign & campaign, const Run & run, const Backends & backends);

// The command line of a run, without the program itself: `generate`, or `lab http` for what goes through a server.
std::vector<std::string> run_arguments(const Campaign & campaign, const Variant & variant, const Run & run,
                                       const Backends & backends);

}  // namespace shimmy::lab
