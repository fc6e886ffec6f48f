#include "engine/speculate/speculation_trial.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

// A turn is long enough that a draft of 48 tokens, which llama.cpp's n-grams give at once, does not fill several.
constexpr size_t TURN_TOKENS = 24;
// Steps without speculation are measured in turns half as long: they vary little.
constexpr size_t PLAIN_TURN_TOKENS = 12;
// Every kind has had this many tokens before anything is decided.
constexpr size_t LEAST_TOKENS = 96;
// With fewer drafts than this, a kind costs nothing and has shown nothing: it goes on being measured.
constexpr size_t LEAST_DRAFTS = 4;
constexpr size_t MOST_TOKENS = 600;
constexpr double LEAST_GAIN = 1.02;

}  // namespace

SpeculationTrial::SpeculationTrial(size_t n_kinds) : sums_(n_kinds + 1), left_(PLAIN_TURN_TOKENS) {
    is_decided_ = n_kinds == 0;
}

size_t SpeculationTrial::kind() const {
    return kind_;
}

size_t SpeculationTrial::least_tokens(size_t n_kinds) {
    return n_kinds * (LEAST_TOKENS + LEAST_TOKENS / TURN_TOKENS * PLAIN_TURN_TOKENS);
}

void SpeculationTrial::add(size_t n_tokens, double ms, bool had_draft) {
    if (is_decided_) return;
    Sum & sum = sums_[kind_];
    sum.n_tokens += n_tokens;
    sum.n_drafts += had_draft ? 1 : 0;
    sum.ms += ms;
    n_tokens_ += n_tokens;
    left_ -= std::min(left_, n_tokens);
    if (left_ > 0) return;
    decide();
    if (!is_decided_) next_turn();
}

std::optional<double> SpeculationTrial::gain(size_t kind) const {
    const Sum & plain = sums_[0];
    const Sum & sum = sums_[kind];
    if (sum.n_drafts == 0 || plain.ms <= 0.0 || sum.ms <= 0.0) return std::nullopt;
    return (static_cast<double>(sum.n_tokens) / sum.ms) / (static_cast<double>(plain.n_tokens) / plain.ms);
}

// Plain, first kind, plain, second kind, and so on: each kind beside steps without one.
void SpeculationTrial::next_turn() {
    if (kind_ == 0) {
        size_t least = 1;
        for (size_t kind = 2; kind < sums_.size(); ++kind)
            if (sums_[kind].n_tokens < sums_[least].n_tokens) least = kind;
        kind_ = least;
        left_ = TURN_TOKENS;
    } else {
        kind_ = 0;
        left_ = PLAIN_TURN_TOKENS;
    }
}

void SpeculationTrial::decide() {
    size_t best = 0;
    bool all_are_known = true;
    for (size_t kind = 1; kind < sums_.size(); ++kind) {
        const Sum & sum = sums_[kind];
        all_are_known = all_are_known && sum.n_tokens >= LEAST_TOKENS && sum.n_drafts >= LEAST_DRAFTS;
        const bool is_better = gain(kind).value_or(0.0) > std::max(LEAST_GAIN, gain(best).value_or(0.0));
        if (is_better && sum.n_drafts >= LEAST_DRAFTS) best = kind;
    }
    if (!all_are_known && n_tokens_ < MOST_TOKENS) return;
    is_decided_ = true;
    kind_ = best;
}

}  // namespace shimmy::engine
