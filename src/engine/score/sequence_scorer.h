// Probabilities of tokens in sequences that begin alike: an item of a multiple-choice task with each of its choices.
// A row per token of one text is engine/score/logit_rows.h. Internal to engine/: llama.cpp's types.
#pragma once

#include "engine/score/probe.h"

#include "llama.h"

#include <span>
#include <string>
#include <vector>

namespace shimmy::engine {

class SequenceScorer {
public:
    // `context` computes llama_n_seq_max() sequences at once, in one cache. `name`: of the model, for messages.
    SequenceScorer(llama_context * context, std::string name) : context_(context), name_(std::move(name)) {}

    // As Model::log_probabilities_of.
    std::vector<double> score(const std::vector<std::vector<llama_token>> & sequences,
                              const std::vector<Probe> & probes);

    // Call when others have used the context.
    void forget() { kept_.clear(); }

private:
    using Tokens = std::span<const llama_token>;

    // Sequences that are computed together; of each what the probes need.
    struct Group {
        size_t first = 0;  // of all sequences
        std::vector<Tokens> sequences;
        size_t n_shared = 0;  // tokens that all begin with
        size_t n_tokens = 0;  // to compute, if nothing is kept
    };

    Group next_group(const std::vector<Tokens> & needed, size_t first) const;
    void score(const Group & group, const std::vector<Probe> & probes, std::vector<double> & result);
    size_t keep(Tokens shared, size_t at_most);
    bool go_back_to(size_t position);

    llama_context * context_;
    std::string name_;
    std::vector<llama_token> kept_;  // that every sequence of the context begins with
};

}  // namespace shimmy::engine
