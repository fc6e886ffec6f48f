// Internal to the engine: tokens drafted by llama.cpp's speculation (common/speculative.h) for the model to check.
#pragma once

#include "engine/load/load_params.h"
#include "engine/speculate/context_follower.h"
#include "engine/speculate/speculation_report.h"
#include "engine/speculate/speculation_trial.h"

#include "llama-cpp.h"
#include "speculative.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace shimmy::engine {

// Throws UsageError for kinds of speculation in the llama_args that cannot be: without the draft model or the layers
// that they need, or beside a projector.
void require_possible_speculation(LoadOptions & options);

class Speculation : private ContextFollower {
public:
    // The kinds that `options` name; or, if it is to be decided by measuring, n-grams of the text, and a draft model or
    // the model's own layers that predict further tokens (MTP), if they are there. nullptr: none is wanted. Throws
    // Error for what this model or this program cannot do.
    static std::unique_ptr<Speculation> make(const LoadOptions & options, const LoadParams & params,
                                             llama_model * model, llama_context * context);

    // Must be told of all that the model's context computes. nullptr: need not be.
    ContextFollower * follower();

    // A new answer begins after these tokens, whatever was before.
    void begin(const std::vector<llama_token> & held);

    // Tokens that may come after `last`, which comes after `held`; at most `n_most`. Empty: none.
    std::vector<llama_token> draft(const std::vector<llama_token> & held, llama_token last, size_t n_most);

    // The step after draft(): so many of its tokens were right, and all of it took so long.
    void add(size_t n_drafted, size_t n_accepted, double ms);

    // Of the answer since begin(), and what was decided.
    SpeculationReport report() const;

private:
    struct Kind {
        std::string name;
        common_params_speculative params;  // llama.cpp's object refers to it
        common_speculative_ptr state;
        bool reads_states = false;  // of every batch (MTP, EAGLE3, …)
        bool has_drafted = false;
        size_t n_drafted = 0;  // tokens, of this answer
        size_t n_accepted = 0;
    };
    Speculation() : trial_(0) {}
    void add_kind(const common_params_speculative & params, const std::vector<common_speculative_type> & types);
    void follow(const std::vector<llama_token> & held);
    void computed(const llama_batch & batch) override;
    bool go_back(size_t n_tokens) override;
    bool is_used(const Kind & kind) const;

    std::string name_;  // of the model, for messages
    common_speculative_init_result_ptr draft_model_;
    std::vector<llama_token> followed_;  // tokens that the draft model's context holds, if nothing reads states
    size_t n_most_ = SIZE_MAX;           // drafted tokens that can be taken back
    double states_ms_ = 0.0;             // that reading them took since the last step
    std::vector<std::unique_ptr<Kind>> kinds_;
    SpeculationTrial trial_;
    bool is_measured_ = false;  // else the first kind is always used
};

}  // namespace shimmy::engine
