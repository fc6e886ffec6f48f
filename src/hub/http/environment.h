// The environment variables of the Hub, with the meaning that its own Python client gives them.
#pragma once

#include "base/files.h"

#include <string>

namespace shimmy::hub {

struct Environment {
    std::string endpoint;  // HF_ENDPOINT without a trailing '/', else https://huggingface.co
    std::string token;     // HF_TOKEN, else the file HF_TOKEN_PATH, else $HF_HOME/token; empty: none
    bool offline = false;  // HF_HUB_OFFLINE
    fs::path cache_dir;    // HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub
};

Environment read_environment();

}  // namespace shimmy::hub
