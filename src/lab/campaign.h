// A measuring campaign as a person writes it: which models, in which quantizations and placements, with which
// prompts, how often.
#pragma once

#include "base/files.h"
#include "engine/placement.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::lab {

// A quantization of this name stands for the model file as it is, whatever type it has.
inline constexpr std::string_view INPUT_AS_IS = "input";

struct Prompt {
    std::string id;    // file-name safe, unique in the campaign
    std::string text;  // a user's message; the model's chat template is applied
};

struct CampaignModel {
    std::string name;                        // file-name safe, unique in the campaign
    fs::path path;                           // F32, F16 or BF16 GGUF for quantizing; any for INPUT_AS_IS
    std::vector<std::string> quantizations;  // llama.cpp's spelling, or INPUT_AS_IS
};

struct Campaign {
    fs::path file;  // where it was read from
    std::string name;
    fs::path out_dir;  // quantized models, results, report
    std::vector<CampaignModel> models;
    std::vector<engine::Placement> placements;  // baseline and at least one that offloads
    std::vector<Prompt> prompts;
    int repeats = 1;
    double temperature = 0.0;
    uint32_t seed = 42;
    int max_tokens = 100;
    int n_ctx = 4096;
    int n_threads = 0;  // 0: one per physical core
    std::string device =
        "gpu";             // as engine::find_device takes it; "gpu": the best, a software one if there is no other
    int timeout_s = 3600;  // of one run, load included
};

// The prompts of a campaign that names none.
const std::vector<Prompt> & default_prompts();

// Reads a campaign file. Paths in it are relative to its folder. Throws UsageError with file:line for a syntax error,
// an unknown key, a wrong type, an empty list, a value out of range or a name used twice; Error if it cannot be read.
Campaign read_campaign(const fs::path & file);

// The same for text already read; `file` gives names and the base of relative paths.
Campaign parse_campaign(std::string_view text, const fs::path & file);

}  // namespace shimmy::lab
