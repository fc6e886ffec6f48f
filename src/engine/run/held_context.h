// Internal to the engine: a context of llama.cpp and the text that it holds, so that what two prompts begin with is
// computed once.
#pragma once

#include "engine/load/model_files.h"
#include "engine/speculate/context_follower.h"
#include "engine/vision/projector.h"

#include "llama-cpp.h"

#include <span>
#include <string>
#include <vector>

namespace shimmy::engine {

class HeldContext {
public:
    // `name`: of the model, for messages. `files`: looked at before and after each batch.
    HeldContext(llama_context_ptr context, std::string name, ModelFiles files)
        : context_(std::move(context)), name_(std::move(name)), files_(std::move(files)) {
        files_.find_mappings();
    }

    // Told of everything from now on. nullptr: nobody is.
    void set_follower(ContextFollower * follower) { follower_ = follower; }

    llama_context * get() const { return context_.get(); }
    const std::string & name() const { return name_; }
    const llama_model * model() const { return llama_get_model(get()); }
    const llama_vocab * vocab() const { return llama_model_get_vocab(model()); }
    size_t n_ctx() const { return llama_n_ctx(get()); }

    // Tokens whose keys and values are in the context, by position. Negative ones are of pictures.
    const std::vector<llama_token> & tokens() const { return tokens_; }
    // False for models that look ahead: they keep nothing of a text, and compute it anew for every token.
    bool has_memory() const { return llama_get_memory(get()) != nullptr; }

    void forget();
    // Brings the context to hold `tokens`, of which it may hold a beginning. Returns how many it held.
    size_t bring(std::span<const llama_token> tokens);
    // The same with pictures, which `projector` computes; without any it may be nullptr.
    size_t bring(const PicturedTokens & tokens, Projector * projector);
    void reserve(size_t n_tokens) { tokens_.reserve(n_tokens); }  // so that each finds its place

    // By one token, whose logits come next.
    void extend(llama_token token);
    // Computes tokens behind what is held, with logits for each; hold() says how many of them stay.
    void compute_behind(const std::vector<llama_token> & tokens);
    void hold(std::span<const llama_token> tokens);
    // A step was broken off: forgets what is held unless the context can go back to it.
    void recover();

    // Throws Error where the last logits are no numbers: damaged weights, and some that were quantized without an
    // importance matrix, give no probabilities. Samplers do not notice.
    void require_numbers() const;

    // Computes a few tokens and forgets them: a GPU backend compiles its kernels at first use, and mapped weights are
    // read from disk; neither belongs into the first request's time.
    void warm_up();

private:
    // Of `n_tokens` tokens from `position` on; valid until the next one is made.
    llama_batch batch_of(const llama_token * tokens, int n_tokens, size_t position);
    void compute(const llama_batch & batch);
    void decode(const llama_token * tokens, int n_tokens, size_t position);
    void prefill(std::span<const llama_token> tokens, size_t position);
    void prefill(const PicturedTokens & tokens, size_t begin, Projector * projector);
    bool can_go_back_to(size_t n_tokens);  // then what is held ends there

    llama_context_ptr context_;
    std::string name_;
    ModelFiles files_;
    std::vector<llama_token> tokens_;
    ContextFollower * follower_ = nullptr;
    // Of a batch.
    std::vector<llama_pos> positions_;
    std::vector<int32_t> n_sequences_;
    std::vector<llama_seq_id *> sequences_;
    std::vector<int8_t> wants_logits_;
    llama_seq_id sequence_ = 0;
};

}  // namespace shimmy::engine
