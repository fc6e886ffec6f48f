// Internal to the engine: one answer, token by token.
#pragma once

#include "base/stopwatch.h"
#include "base/text/utf8_stream.h"
#include "engine/run/answer.h"
#include "engine/run/held_context.h"
#include "engine/run/sampler.h"
#include "engine/speculate/speculation.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::engine {

// Special tokens that are part of an answer's text: those that one of `texts` stands for.
std::set<llama_token> special_tokens(const llama_vocab * vocab, const std::vector<std::string> & texts);

// Of one answer: the clock runs from its construction. Beside llama.cpp's work and on_text, a token costs no
// allocation.
class AnswerWriter {
public:
    // `speculation` nullptr: none. `params`: what the user's llama_args add to the samplers.
    AnswerWriter(HeldContext & context, Speculation * speculation, const common_params_sampling & params,
                 const SamplingOptions & sampling)
        : context_(context), speculation_(speculation), sampler_(make_sampler(context.model(), params, sampling)) {}

    // `max_tokens` 0: until the answer ends or the context is full. `shown`: special tokens that are text.
    // `projector`: for a prompt with pictures.
    GenerateResult write(const PicturedTokens & prompt, Projector * projector, int max_tokens,
                         const std::set<llama_token> & shown, const OnText & on_text);

private:
    void reserve(size_t n_prompt, size_t n_most);
    std::string_view text_of(llama_token token, bool special);
    bool hand_out(std::string_view text, const OnText & on_text);
    void count();
    // The tokens that come after `token`, into `next`: one, or several where drafts were right. All but the last are
    // held then.
    void advance(llama_token token, size_t n_most, std::vector<llama_token> & next);

    Stopwatch since_call_;  // first: samplers are part of an answer's time
    HeldContext & context_;
    Speculation * speculation_;
    common_sampler_ptr sampler_;
    GenerateResult result_;
    std::string buffer_;  // of a token's text
    Utf8Stream utf8_;
};

}  // namespace shimmy::engine
