// What a campaign comes down to: model files to have, and runs to make, in their order.
#pragma once

#include "lab/campaign.h"

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
};

// Throws Error if the file is missing or not a model.
InputInfo read_input_info(const fs::path & file);

// One model file to be measured.
struct Variant {
    std::string model;         // CampaignModel::name
    std::string quantization;  // as tables show it, never INPUT_AS_IS
    fs::path path;
    fs::path input;  // what to quantize; equal to `path` if there is nothing to quantize

    bool is_input() const { return path == input; }
};

// Variants in the campaign's order; `inputs` runs parallel to campaign.models. Throws Error with the reason for what
// cannot be measured: no experts to offload, quantizing what is already quantized, more layers asked for than there
// are, a context beyond the model's.
std::vector<Variant> plan_variants(const Campaign & campaign, const std::vector<InputInfo> & inputs);

// One measurement: one process.
struct Run {
    size_t variant = 0;  // index into the variants
    engine::Placement placement;
    size_t prompt = 0;  // index into campaign.prompts
    int repeat = 1;     // from 1
};

// Repeats are the outer loop, so that a slow drift of the machine (heat, neighbours) touches every cell alike, and
// the placements the inner one, so that what is compared is measured back to back.
std::vector<Run> plan_runs(const Campaign & campaign, size_t n_variants);

// `<out_dir>/results/<model>/<quantization>/<placement>/<prompt>-<repeat>.json`
fs::path result_path(const Campaign & campaign, const Variant & variant, const Run & run);

// "tiny-moe Q4_K_M offload, prompt train, repeat 1"
std::string describe(const Campaign & campaign, const Variant & variant, const Run & run);

// The command line of a run, without the program itself. `gpu_backend` as in --gpu-backend.
std::vector<std::string> generate_arguments(const Campaign & campaign, const Variant & variant, const Run & run,
                                            const std::string & gpu_backend);

}  // namespace shimmy::lab
