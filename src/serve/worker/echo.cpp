#include "serve/worker/echo.h"

#include "common.h"

namespace shimmy::serve::worker {

namespace {

// As llama.cpp has the tokens of an answer.
json token_json(const std::string & text, const TokenScore * score, const llama_vocab * vocab) {
    json token{{"token", text}, {"logprob", score == nullptr ? json() : json(score->log_probability)}};
    if (score == nullptr) return token;
    json top = json::array();
    for (const auto & [other, log_probability] : score->top)
        top.push_back(json{{"token", common_token_to_piece(vocab, other)}, {"logprob", log_probability}});
    token["top_logprobs"] = top;
    return token;
}

}  // namespace

Echo echo_of(const EchoedPrompt & prompt, int n_top, const llama_vocab * vocab, PromptScorer & scorer,
             const std::function<bool()> & is_gone) {
    Echo echo;
    std::vector<TokenScore> scores;
    if (n_top >= 0) {
        scores = scorer.score(prompt.tokens, n_top, is_gone);
        echo.tokens = json::array();
    }
    for (size_t i = prompt.begins_with_bos ? 1 : 0; i < prompt.tokens.size(); ++i) {
        const std::string text = common_token_to_piece(vocab, prompt.tokens[i]);
        echo.text += text;
        if (n_top < 0) continue;
        const TokenScore * score = i > 0 && i <= scores.size() ? &scores[i - 1] : nullptr;
        echo.tokens.push_back(token_json(text, score, vocab));
    }
    return echo;
}

}  // namespace shimmy::serve::worker
