// The prompt as the beginning of a text completion's answer, as "echo" asks for, with its log-probabilities if they are
// wanted. Tools that score given texts (lm-evaluation-harness) ask so.
#pragma once

#include "serve/forms/completion_form.h"
#include "serve/worker/prompt_scorer.h"

#include "server-common.h"

#include <functional>
#include <vector>

namespace shimmy::serve::worker {

// A prompt that is to be echoed.
struct EchoedPrompt {
    std::vector<llama_token> tokens;
    bool begins_with_bos = false;  // which this server added: it is no part of the text
};

// `n_top`: likeliest tokens to tell beside each; below 0: no log-probabilities are wanted.
Echo echo_of(const EchoedPrompt & prompt, int n_top, const llama_vocab * vocab, PromptScorer & scorer,
             const std::function<bool()> & is_gone);

}  // namespace shimmy::serve::worker
