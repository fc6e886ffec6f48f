// A chat request in OpenAI's form as the parameters of llama.cpp's task, where its own way leaves open what the client
// asked for: tools that must be called, patterns of schemas, answers that the client began.
#pragma once

#include "serve/worker/hosted_model.h"

#include "server-common.h"

#include <string>

namespace shimmy::serve::worker {

// Throws std::invalid_argument, or what llama.cpp throws, for what the model's chat template cannot do.
json chat_parameters(const HostedModel & model, json request);

// A request in Anthropic's form in OpenAI's.
json chat_from_anthropic(json request);

// Any other request, with patterns of its "json_schema" in the form that llama.cpp keeps.
json with_enforceable_schema(json request);

// The text of an answer that the client began: the last message, if it is the assistant's.
std::string begun_text(const json & request);

}  // namespace shimmy::serve::worker
