// The models that `shimmy serve` serves, and the options that say how one is loaded.
#pragma once

#include "cli/globals.h"
#include "cli/llama_options.h"
#include "cli/profile_option.h"
#include "engine/load/load_options.h"
#include "serve/wire/model.h"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace shimmy::cli {

// Options about one model, on the command line for all of them; placement and backends are in Globals.
struct ModelArguments {
    engine::LoadOptions load;
    LlamaOptions llama;
    bool embeddings = false;
    std::string pooling;
    std::string chat_template_file;
    std::string expert_trace;
    std::string keep_alive;  // a duration, or empty
    int stall_s = 30;
    bool no_profile = false;
    std::vector<GivenOption> given;  // on the command line, or in a model's table
};

// `arguments` and `globals` must live as long as `command`.
void add_model_options(CLI::App & command, ModelArguments & arguments, Globals & globals);

// Throws UsageError.
serve::ModelOptions model_options(const ModelArguments & arguments, const Globals & globals);

// A file, or a name as of `shimmy list` or the Hub. What the arguments leave open is as the model's profile says
// (`shimmy tune`). Throws Error.
serve::ServedModel named_model(const std::string & name_or_path, const ModelArguments & arguments,
                               const Globals & globals);

// Every model of this machine that generates text; with embeddings asked for, also those that do nothing else.
std::vector<serve::ServedModel> discovered_models(const ModelArguments & arguments, const Globals & globals);

}  // namespace shimmy::cli
