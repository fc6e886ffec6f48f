// OpenAI's text completions, where llama.cpp gives the figures of chat completions.
#pragma once

#include "server-common.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace shimmy::serve::worker {

// What an answer begins with: the prompt. `tokens` as llama.cpp has those of an answer; null: they are not wanted.
struct Echo {
    std::string text;
    json tokens;
};

// One answer: its document, or its events in order.
class CompletionForm {
public:
    // `echoes`: by prompt, or empty; each of the prompt's `n_choices` choices begins with it, and is it alone where
    // `only_echo` says that no token was asked for (llama.cpp makes one all the same).
    explicit CompletionForm(const std::vector<Echo> & echoes = {}, int n_choices = 1, bool only_echo = false)
        : echoes_(echoes), n_choices_(n_choices), only_echo_(only_echo) {}

    // {"content": […]} becomes {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; an offset counts characters
    // of the answer.
    void complete(json & document);

private:
    json legacy_logprobs(const json & content, int choice);
    void prepend(json & choice, int index);

    std::vector<Echo> echoes_;
    int n_choices_;
    bool only_echo_;
    std::set<int> begun_;                 // choices that have their prompt
    std::map<int, size_t> n_characters_;  // so far, by choice
};

}  // namespace shimmy::serve::worker
