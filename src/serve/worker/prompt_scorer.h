// Log-probabilities of a prompt's own tokens, for "echo". llama.cpp's server computes none, so this has a context of
// its own on the model that is loaded: made at the first use, for one request at a time. Every token of one text, each
// with the likeliest in its place; engine/score/sequence_scorer.h is for few tokens of many texts that begin alike.
#pragma once

#include "engine/load/load_params.h"

#include "llama-cpp.h"

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace shimmy::serve::worker {

struct TokenScore {
    double log_probability = 0.0;                     // natural
    std::vector<std::pair<llama_token, double>> top;  // the likeliest in its place, and how likely
};

class PromptScorer {
public:
    // Both must outlive this.
    PromptScorer(const engine::LoadParams & load, llama_model * model) : load_(load), model_(model) {}

    // Of every token but the first, which nothing predicts. At most as many tokens as a request's context holds. Empty
    // where `is_gone` says that nobody waits any more. LoRA adapters are not applied. Throws Error where there is no
    // memory for it, or the model predicts no numbers.
    std::vector<TokenScore> score(const std::vector<llama_token> & tokens, int n_top,
                                  const std::function<bool()> & is_gone);

private:
    void make_context();

    const engine::LoadParams & load_;
    llama_model * model_;
    std::mutex mutex_;
    llama_context_ptr context_;
};

}  // namespace shimmy::serve::worker
