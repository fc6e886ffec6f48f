#include "library/search_dirs.h"

#include <sstream>

namespace shimmy::library {

namespace {

void append_list(std::vector<SearchDir> & dirs, const std::string & list, const std::string & source) {
    std::istringstream stream(list);
    for (std::string dir; std::getline(stream, dir, ';');) {
        if (!dir.empty()) dirs.push_back({dir, source, true});
    }
}

}  // namespace

std::vector<SearchDir> search_dirs(const Environment & environment, const std::string & extra) {
    std::vector<SearchDir> dirs;
    append_list(dirs, extra, "model-dirs");
    dirs.push_back({environment.working_dir / "models", "models", false});
    if (!environment.base_gguf.empty()) {
        dirs.push_back({fs::absolute(environment.base_gguf).parent_path(), "base-gguf", true});
    }
    append_list(dirs, environment.model_paths, "model-paths");
    if (!environment.ollama_models.empty()) dirs.push_back({environment.ollama_models, "ollama", true});
    if (!environment.hf_hub_cache.empty()) dirs.push_back({environment.hf_hub_cache, "huggingface", true});
    if (!environment.hf_home.empty()) dirs.push_back({fs::path(environment.hf_home) / "hub", "huggingface", false});
    if (!environment.home.empty()) {
        const fs::path & home = environment.home;
        dirs.push_back({home / ".cache/huggingface/hub", "huggingface", false});
        dirs.push_back({home / ".ollama/models", "ollama", false});
        dirs.push_back({"/usr/share/ollama/.ollama/models", "ollama", false});  // where its Linux service keeps them
        dirs.push_back({home / ".lmstudio/models", "lmstudio", false});
        dirs.push_back({home / ".cache/lm-studio/models", "lmstudio", false});  // before version 0.3.6
        dirs.push_back({home / ".cache/llama.cpp", "llama.cpp", false});
        dirs.push_back({home / "models", "home", false});
        dirs.push_back({home / ".local/share/shimmy/models", "shimmy", false});
    }
    return dirs;
}

}  // namespace shimmy::library
