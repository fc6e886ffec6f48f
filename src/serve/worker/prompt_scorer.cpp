#include "serve/worker/prompt_scorer.h"

#include "base/error.h"
#include "base/log_sum_exp.h"
#include "engine/load/log.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

namespace shimmy::serve::worker {

namespace {

// Tokens of one batch: each has a row of logits, of which a large vocabulary makes half a megabyte.
constexpr size_t BATCH = 64;

// `logits`: [n_vocab], in the place of `token`.
TokenScore score_of(const float * logits, int n_vocab, llama_token token, int n_top) {
    const double offset = log_sum_exp({logits, static_cast<size_t>(n_vocab)});
    if (!std::isfinite(offset)) fail("what the model predicts is not a number: its file is damaged");
    std::vector<llama_token> order(static_cast<size_t>(n_vocab));
    std::iota(order.begin(), order.end(), 0);
    const auto end = order.begin() + std::min(n_top, n_vocab);
    std::partial_sort(order.begin(), end, order.end(),
                      [&](llama_token a, llama_token b) { return logits[a] > logits[b]; });
    TokenScore score;
    score.log_probability = logits[token] - offset;
    for (auto one = order.begin(); one != end; ++one)
        score.top.emplace_back(*one, logits[*one] - offset);
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
    const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model_));
    llama_batch batch = llama_batch_init(static_cast<int32_t>(BATCH), 0, 1);
    const std::unique_ptr<llama_batch, void (*)(llama_batch *)> guard(&batch,
                                                                      [](llama_batch * b) { llama_batch_free(*b); });
    std::vector<TokenScore> scores;
    for (size_t start = 0; start + 1 < tokens.size(); start += BATCH) {
        if (is_gone()) return {};
        batch.n_tokens = static_cast<int32_t>(std::min(BATCH, tokens.size() - 1 - start));
        for (int32_t i = 0; i < batch.n_tokens; ++i) {
            batch.token[i] = tokens[start + static_cast<size_t>(i)];
            batch.pos[i] = static_cast<llama_pos>(start) + i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = 1;
        }
        const engine::LogCapture log;
        if (llama_decode(context_.get(), batch) != 0)
            fail("the prompt could not be computed: {}", log.reason("try -vv"));
        for (int32_t i = 0; i < batch.n_tokens; ++i)
            scores.push_back(score_of(llama_get_logits_ith(context_.get(), i), n_vocab,
                                      tokens[start + static_cast<size_t>(i) + 1], n_top));
    }
    return scores;
}

}  // namespace shimmy::serve::worker
