// The repositories that a campaign's files go into, each with a model card: one per quantization, or one per model.
#pragma once

#include "lab/measure/summary.h"

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
std::vector<CardRepo> card_repos(const lab::Summary & summary);

}  // namespace shimmy::report
