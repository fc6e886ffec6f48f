#include "library/environment.h"

#include <cstdlib>

namespace shimmy::library {

namespace {

std::string variable(const char * name) {
    const char * value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

Environment read_environment() {
    Environment environment;
    environment.working_dir = fs::current_path();
    environment.home = variable("HOME");
    environment.base_gguf = variable("SHIMMY_BASE_GGUF");
    environment.model_paths = variable("SHIMMY_MODEL_PATHS");
    environment.ollama_models = variable("OLLAMA_MODELS");
    environment.hf_hub_cache = variable("HF_HUB_CACHE");
    environment.hf_home = variable("HF_HOME");
    return environment;
}

}  // namespace shimmy::library
