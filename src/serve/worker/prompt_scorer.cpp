#include "serve/worker/prompt_scorer.h"

#include "base/error.h"
#include "base/log_sum_exp.h"
#include "engine/llama/log.h"
#include "engine/llama/passing_thread.h"
#include "engine/score/logit_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace shimmy::serve::worker {

namespace {

// Tokens of one batch: each has a row of logits, of which a large vocabulary makes half a megabyte.
constexpr size_t BATCH = 64;

// `logits`: [n_vocab], in the place of `token`.
TokenScore score_of(std::span<const float> logits, llama_token token, int n_top) {
    const double offset = log_sum_exp(logits);
    if (!std::isfinite(offset)) fail("what the model predicts is not a number: its file is damaged");
    std::vector<llama_token> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto end = order.begin() + std::min(n_top, static_cast<int>(logits.size()));
    std::partial_sort(order.begin(), end, order.end(), [&](llama_token a, llama_token b) {
        return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    TokenScore score;
    score.log_probability = logits[static_cast<size_t>(token)] - offset;
    for (auto one = order.begin(); one != end; ++one)
        score.top.emplace_back(*one, logits[static_cast<size_t>(*one)] - offset);
    return score;
}

}  // namespace

void PromptScorer::make_context() {
    if (context_) return;
    const engine::LogCapture log;
    llama_context_params params = load_.context_params(static_cast<uint32_t>(llama_model_n_ctx_train(model_)));
    params.n_ctx /= params.n_seq_max;
    params.n_seq_max = 1;
    params.n_batch = params.n_ubatch = static_cast<uint32_t>(std::min<size_t>(BATCH, params.n_ctx));
    params.embeddings = false;
    context_.reset(llama_init_from_model(model_, params));
    if (!context_) fail("there is no memory for log-probabilities of a prompt: {}", log.reason("try -vv"));
}

std::vector<TokenScore> PromptScorer::score(const std::vector<llama_token> & tokens, int n_top,
                                            const std::function<bool()> & is_gone) {
    const std::lock_guard lock(mutex_);
    make_context();
    llama_memory_clear(llama_get_memory(context_.get()), true);
    std::vector<TokenScore> scores;
    bool left = is_gone();
    if (tokens.size() < 2 || left) return scores;
    engine::on_passing_thread([&] {
        engine::for_each_row(context_.get(), "the prompt could not be computed",
                             std::span(tokens).first(tokens.size() - 1), 0, BATCH,
                             [&](size_t index, std::span<const float> logits) {
                                 scores.push_back(score_of(logits, tokens[index + 1], n_top));
                                 left = (index + 1) % BATCH == 0 && is_gone();
                                 return !left;
                             });
    });
    if (left) scores.clear();
    return scores;
}

}  // namespace shimmy::serve::worker
