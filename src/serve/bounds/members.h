// Members of a request that ask for something which is not done here. Passing over them would answer another question
// than the one that was asked.
#pragma once

#include "base/json.h"

namespace shimmy::serve {

// Whose words a request is written in.
enum class Dialect {
    chat,         // OpenAI's chat completions
    completions,  // OpenAI's text completions
    responses,    // OpenAI's responses
    messages,     // Anthropic's messages
    ollama,       // Ollama's chat and generate
    llama,        // llama.cpp's own
};

// Throws HttpError 400 that names the member. What only tells a service about its user, its price or its storage
// ("user", "metadata", "service_tier", "store") is no question and passes.
void require_supported(const Json & request, Dialect dialect);

}  // namespace shimmy::serve
