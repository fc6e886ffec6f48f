// OpenAI's text completions, where llama.cpp gives the figures of chat completions.
#pragma once

#include "server-common.h"

#include <map>

namespace shimmy::serve::worker {

// One answer: its document, or its events in order.
class CompletionForm {
public:
    // {"content": […]} becomes {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; an offset counts characters
    // of the answer.
    void complete(json & document);

private:
    json legacy_logprobs(const json & content, int choice);

    std::map<int, size_t> n_characters_;  // so far, by choice
};

}  // namespace shimmy::serve::worker
