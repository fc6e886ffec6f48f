// Model cards for the Hugging Face Hub: one repository per quantization, or one per model.
#pragma once

#include "base/json.h"
#include "report/quality.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::report {

// A repository that the campaign can publish.
struct CardRepo {
    std::string name;  // "Phi-3.5-MoE-Q4_K_M-GGUF": a folder of cards/, and the repository's name
    std::string model;
    std::vector<std::string> quantizations;  // the files it holds; the tables of a card show all of the model
    std::string id = {};                     // "owner/name" on the Hub; empty: not known yet
};

// "Phi-3.5-MoE-Q4_K_M-GGUF", or "Phi-3.5-MoE-GGUF" without a quantization.
std::string repo_name(const std::string & model, const std::string & quantization);

// By the summary's `layout`. Synthetic models have no card: their weights are random.
std::vector<CardRepo> card_repos(const Json & summary);

// What of a card's figures is missing, each with the command or the line of the campaign that brings it; empty if the
// card can be made.
std::vector<std::string> card_obstacles(const Json & summary, const Quality & quality, const CardRepo & repo,
                                        const std::string & rerun_command);

// Files of the repository's folder: README.md, its charts, and LICENSE if the campaign names a file with its text.
std::map<std::string, std::string> card_files(const Json & summary, const Quality & quality, const CardRepo & repo);

}  // namespace shimmy::report
