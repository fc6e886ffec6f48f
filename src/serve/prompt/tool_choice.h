// Which tools a model may call. llama.cpp knows all, none and any; one by its name is any of that one alone.
#pragma once

#include "server-common.h"

namespace shimmy::serve::worker {

// Of a chat request in OpenAI's form, and in Anthropic's. Throws std::invalid_argument for a tool that there is not.
json with_tool_choice(json request);
json with_anthropic_tool_choice(json request);

}  // namespace shimmy::serve::worker
