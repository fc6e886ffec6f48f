// What speculation did for an answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace shimmy::engine {

struct SpeculationReport {
    std::string kind;          // "ngram-mod", "draft-simple": of several that are measured, the best
    bool is_on = true;         // it is used, or still measured
    size_t n_drafted = 0;      // tokens of this answer, by this kind
    size_t n_accepted = 0;     // of these, right
    bool is_measured = false;  // whether to speculate is decided by measuring
    bool is_decided = false;
    std::optional<double>
        gain;               // rate with over rate without speculation, where measured; nullopt: nothing was drafted
    size_t n_measured = 0;  // tokens since the model was loaded that this stands on

    // "speculation ngram-mod: 31% of 480 drafted tokens accepted, 1.80x the rate without it over 150 tokens"
    std::string text() const;
};

}  // namespace shimmy::engine
