#include "engine/run/held_context.h"

#include "base/error.h"
#include "base/no_allocation.h"
#include "base/process/interrupt.h"
#include "engine/experts/expert_cache.h"
#include "engine/llama/log.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace shimmy::engine {

namespace {

constexpr int N_WARMUP_TOKENS = 16;  // enough to take the matrix-matrix path of every backend

}  // namespace

// The position is said: llama.cpp's own next one is wrong behind a picture with M-RoPE.
llama_batch HeldContext::batch_of(const llama_token * tokens, int n_tokens, size_t position) {
    const auto n = static_cast<size_t>(n_tokens);
    positions_.resize(n);
    std::iota(positions_.begin(), positions_.end(), static_cast<llama_pos>(position));
    n_sequences_.assign(n, 1);
    sequences_.assign(n, &sequence_);
    wants_logits_.assign(n, 0);
    wants_logits_.back() = 1;
    llama_batch batch = llama_batch_get_one(const_cast<llama_token *>(tokens), n_tokens);
    batch.pos = positions_.data();
    batch.n_seq_id = n_sequences_.data();
    batch.seq_id = sequences_.data();
    batch.logits = wants_logits_.data();
    return batch;
}

void HeldContext::compute(const llama_batch & batch) {
    files_.require_whole();
    const LogCapture log;
    const int rc = [&] {
        const ModelFiles::Watch watch(files_);
        return llama_decode(get(), batch);
    }();
    check_interrupted();  // an aborted decode returns an error of its own
    files_.require_read();
    if (rc != 0)
        fail("{}: decoding {} tokens failed: {}", name_, batch.n_tokens,
             log.reason(fmt::format("llama_decode returned {}", rc)));
    if (follower_ == nullptr) return;
    {
        const ModelFiles::Watch watch(files_);
        follower_->computed(batch);
    }
    files_.require_read();
}

void HeldContext::decode(const llama_token * tokens, int n_tokens, size_t position) {
    compute(batch_of(tokens, n_tokens, position));
}

void HeldContext::prefill(std::span<const llama_token> tokens, size_t position) {
    const size_t n_batch = llama_n_batch(get());
    for (size_t start = 0; start < tokens.size(); start += n_batch)
        decode(tokens.data() + start, static_cast<int>(std::min(n_batch, tokens.size() - start)), position + start);
    llama_synchronize(get());
}

// From position `begin` on, which is not within a picture.
void HeldContext::prefill(const PicturedTokens & tokens, size_t begin, Projector * projector) {
    const std::span<const llama_token> all = tokens.tokens;
    size_t at = begin;
    for (const Picture & picture : tokens.pictures) {
        if (picture.begin < at) continue;  // held
        prefill(all.subspan(at, picture.begin - at), at);
        files_.require_whole();
        {
            const ModelFiles::Watch watch(files_);
            projector->compute(picture, get());
        }
        files_.require_read();
        at = picture.end();
    }
    prefill(all.subspan(at), at);
}

void HeldContext::forget() {
    if (has_memory()) llama_memory_clear(llama_get_memory(get()), true);
    if (follower_ != nullptr) follower_->go_back(0);
    tokens_.clear();
}

size_t HeldContext::bring(std::span<const llama_token> tokens) {
    return bring({{tokens.begin(), tokens.end()}, {}}, nullptr);
}

size_t HeldContext::bring(const PicturedTokens & wanted, Projector * projector) {
    const std::vector<llama_token> & tokens = wanted.tokens;
    const auto [differs, ignored] = std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end());
    // The last token is computed in any case: its logits are what comes next.
    size_t n_kept = has_memory() ? std::min(static_cast<size_t>(differs - tokens_.begin()), tokens.size() - 1) : 0;
    for (const Picture & picture : wanted.pictures)
        if (picture.begin < n_kept && n_kept < picture.end()) n_kept = picture.begin;
    if (n_kept < tokens_.size() && !can_go_back_to(n_kept)) n_kept = 0;
    if (n_kept == 0) forget();
    tokens_.resize(n_kept);
    try {
        prefill(wanted, n_kept, projector);
    } catch (...) {
        forget();  // some of it may have been computed
        throw;
    }
    tokens_ = tokens;
    return wanted.n_cells(n_kept);
}

// A recurrent state cannot be taken back to an earlier token, nor a window of attention that has moved on.
bool HeldContext::can_go_back_to(size_t n_tokens) {
    const auto position = static_cast<llama_pos>(n_tokens);
    llama_memory_t memory = llama_get_memory(get());
    const llama_pos first = llama_memory_seq_pos_min(memory, 0);
    if (first > 0 && position - llama_model_n_swa(model()) < first) return false;
    return llama_memory_seq_rm(memory, 0, position, -1) && (follower_ == nullptr || follower_->go_back(n_tokens));
}

void HeldContext::extend(llama_token token) {
    if (has_memory()) {
        decode(&token, 1, tokens_.size());
        const NoAllocation promise;
        tokens_.push_back(token);
    } else {
        tokens_.push_back(token);
        prefill(tokens_, 0);
    }
}

void HeldContext::compute_behind(const std::vector<llama_token> & tokens) {
    const llama_batch batch = batch_of(tokens.data(), static_cast<int>(tokens.size()), tokens_.size());
    std::fill(wants_logits_.begin(), wants_logits_.end(), 1);
    compute(batch);
}

void HeldContext::hold(std::span<const llama_token> tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    const bool went_back =
        llama_memory_seq_rm(llama_get_memory(get()), 0, static_cast<llama_pos>(tokens_.size()), -1) &&
        (follower_ == nullptr || follower_->go_back(tokens_.size()));
    if (!went_back) fail("{}: drafted tokens that were wrong cannot be taken back", name_);
}

void HeldContext::recover() {
    if (!has_memory() || !can_go_back_to(tokens_.size())) forget();
}

void HeldContext::require_numbers() const {
    const float * logits = llama_get_logits_ith(get(), -1);
    const bool good = logits != nullptr && std::none_of(logits, logits + llama_vocab_n_tokens(vocab()),
                                                        [](float logit) { return std::isnan(logit); });
    if (!good)
        fail(
            "{}: gives no probabilities (not a number): its weights are damaged, or were quantized so far that they "
            "overflow; take another copy or another quantization",
            name_);
}

// A batch and a single token take both paths.
void HeldContext::warm_up() {
    const int n_tokens = std::min(N_WARMUP_TOKENS, static_cast<int>(llama_n_batch(get())));
    std::vector<llama_token> tokens(static_cast<size_t>(n_tokens));
    std::iota(tokens.begin(), tokens.end(), 0);
    for (llama_token & token : tokens)
        token %= llama_vocab_n_tokens(vocab());
    prefill(tokens, 0);
    decode(tokens.data(), 1, tokens.size());
    llama_synchronize(get());
    open_expert_cache(get());
}

}  // namespace shimmy::engine
