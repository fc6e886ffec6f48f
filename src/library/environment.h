// The environment variables that say where models are. The only getenv calls of this layer.
#pragma once

#include "base/files.h"

#include <string>

namespace shimmy::library {

// Unset variables are empty.
struct Environment {
    fs::path working_dir;
    fs::path home;              // HOME
    std::string base_gguf;      // SHIMMY_BASE_GGUF: a file; its folder is searched
    std::string model_paths;    // SHIMMY_MODEL_PATHS: folders, separated by ';'
    std::string ollama_models;  // OLLAMA_MODELS
    std::string hf_hub_cache;   // HF_HUB_CACHE
    std::string hf_home;        // HF_HOME: the hub is its subfolder
};

Environment read_environment();

}  // namespace shimmy::library
