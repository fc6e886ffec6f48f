// Ollama's requests in OpenAI's and llama.cpp's form.
#pragma once

#include "base/json.h"

namespace shimmy::serve {

// Of /api/chat. Throws HttpError 400 for what cannot be understood.
Json openai_chat(const Json & request);
// Of /api/generate: a conversation where the model has a chat template, else its text as it is.
Json openai_generate(const Json & request, bool has_chat_template);

}  // namespace shimmy::serve
