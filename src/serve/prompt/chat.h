// A chat request in OpenAI's form as the parameters of llama.cpp's task, where its own way leaves open what the client
// asked for: tools that must be called, patterns of schemas, answers that the client began.
#pragma once

#include "server-common.h"

#include <string>
#include <vector>

namespace shimmy::serve::worker {

// `chat`: the model's chat template and how it is used. Throws std::invalid_argument, or what llama.cpp throws, for
// what the template cannot do. The pictures and sounds of the request are added to `files`, in the order of their marks
// in the prompt.
json chat_parameters(const server_chat_params & chat, json request, std::vector<raw_buffer> & files);

// A request in Anthropic's form in OpenAI's.
json chat_from_anthropic(json request);
// One in Anthropic's form, without what llama.cpp would log of it.
json quiet_anthropic(json request);

// A member that is null is one that is not there, in the request and in its messages; but for "content", which an
// answer that called tools has not.
json without_nulls(json request);

// Any other request, with patterns of its "json_schema" in the form that llama.cpp keeps.
json with_enforceable_schema(json request);

// The text of an answer that the client began: the last message, if it is the assistant's.
std::string begun_text(const json & request);

}  // namespace shimmy::serve::worker
