// Internal to the engine: tokens drafted by llama.cpp's speculation (common/speculative.h) for the model to check.
#pragma once

#include "engine/load/load_params.h"
#include "engine/speculate/speculation_report.h"
#include "engine/speculate/speculation_trial.h"

#include "llama-cpp.h"
#include "speculative.h"

#include <memory>
#include <string>
#include <vector>

namespace shimmy::engine {

// Throws UsageError for kinds of speculation in the llama_args that need llama.cpp's server.
void require_text_speculation(const LoadOptions & options);

class Speculation {
public:
    // The kinds that `options` name; or, if it is to be decided by measuring, n-grams of the text, and a draft model if
    // there is one. nullptr: none is wanted. Throws Error for what this model or this program cannot do.
    static std::unique_ptr<Speculation> make(const LoadOptions & options, const LoadParams & params,
                                             llama_model * model, llama_context * context);

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
        size_t n_drafted = 0;  // tokens, of this answer
        size_t n_accepted = 0;
    };
    Speculation() : trial_(0) {}
    void add_kind(const common_params_speculative & params, const std::vector<common_speculative_type> & types);
    void follow(const std::vector<llama_token> & held);

    std::string name_;  // of the model, for messages
    common_speculative_init_result_ptr draft_model_;
    std::vector<llama_token> followed_;  // tokens that the draft model's context holds
    std::vector<std::unique_ptr<Kind>> kinds_;
    SpeculationTrial trial_;
    bool is_measured_ = false;  // else the first kind is always used
};

}  // namespace shimmy::engine
