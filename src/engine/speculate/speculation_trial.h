// Whether speculation pays, decided from the steps of a running answer: a policy without a model.
//
// k drafted tokens are checked in one batch, which reads the experts of all of them: whether that is cheaper than k
// steps depends on the model, on where its experts lie, and on how many drafts are right. So it is measured: steps
// with each kind of speculation and steps without take turns.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace shimmy::engine {

class SpeculationTrial {
public:
    // Kinds are numbered from 1; 0 is none.
    explicit SpeculationTrial(size_t n_kinds);

    // The kind to use for the next step. Once it is decided, always the winner.
    size_t kind() const;

    // One step with kind(): it gave `n_tokens` (those accepted, and one more) in `ms`.
    void add(size_t n_tokens, double ms, bool had_draft);

    // Of an answer, before anything is said of so many kinds: those with each, and those without beside them.
    static size_t least_tokens(size_t n_kinds);

    bool is_decided() const { return is_decided_; }
    // Tokens per ms with a kind over those without; nullopt if it has drafted nothing.
    std::optional<double> gain(size_t kind) const;
    size_t n_tokens() const { return n_tokens_; }  // that were measured

private:
    struct Sum {
        size_t n_tokens = 0;
        size_t n_drafts = 0;
        double ms = 0.0;
    };
    void decide();
    void next_turn();

    std::vector<Sum> sums_;  // by kind
    size_t kind_ = 0;
    size_t left_ = 0;  // tokens of this turn
    size_t n_tokens_ = 0;
    bool is_decided_ = false;
};

}  // namespace shimmy::engine
