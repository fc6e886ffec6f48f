// The folders in which models are looked for.
#pragma once

#include "library/environment.h"

#include <string>
#include <vector>

namespace shimmy::library {

struct SearchDir {
    fs::path path;
    std::string source;    // short word for lists and for names that clash: "huggingface"
    bool by_user = false;  // the user named it, so its absence is worth a warning
};

// In the order in which they are searched: `extra` (--model-dirs, separated by ';'), ./models, the folder of
// SHIMMY_BASE_GGUF, SHIMMY_MODEL_PATHS, OLLAMA_MODELS, HF_HUB_CACHE, HF_HOME/hub, ~/.cache/huggingface/hub,
// ~/.ollama/models, ~/.lmstudio/models, ~/models, ~/.local/share/shimmy/models. They need not exist.
std::vector<SearchDir> search_dirs(const Environment & environment, const std::string & extra);

}  // namespace shimmy::library
