// The JSON document of one generation: what `generate --json` prints and the lab stores.
#pragma once

#include "base/json.h"
#include "engine/device/device.h"
#include "engine/run/model.h"
#include "engine/run/sampling_options.h"
#include "gguf/model_info.h"

#include <optional>
#include <string>
#include <vector>

namespace shimmy::cli {

struct RunSettings {
    std::string path;    // model file
    std::string prompt;  // as the user wrote it
    int max_tokens = 0;
    std::vector<std::string> llama_args;  // llama.cpp's own options
    engine::SamplingOptions sampling;
    bool moe_backend = false;                    // libggml-moe computed the weights on the CPU
    std::vector<engine::Device> devices_before;  // before the model was loaded
    std::optional<engine::GenerateResult> cold;  // the first answer after loading, where one was asked for
    int depth = 0;                               // tokens in the context before the prompt
    std::vector<std::string> images;             // files shown with the prompt
};

// docs/RESULTS.md describes the fields.
Json run_document(const RunSettings & settings, const gguf::ModelInfo & info, const engine::Model & model,
                  const engine::GenerateResult & result);

}  // namespace shimmy::cli
