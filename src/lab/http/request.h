// A request of OpenAI's API that asks for what `shimmy generate` would generate.
#pragma once

#include "base/json.h"
#include "engine/run/sampling_options.h"

#include <string>

namespace shimmy::lab {

struct Request {
    std::string path;
    Json body;
};

// `chat`: the model has a chat template; otherwise the prompt is the text to continue. The prompt is always computed
// anew, even if the server saw it before.
Request make_request(bool chat, const std::string & prompt, int max_tokens, const engine::SamplingOptions & sampling,
                     bool stream);

}  // namespace shimmy::lab
