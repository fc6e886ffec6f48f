// Whether a server speculates, where that is to be measured (--spec auto).
#pragma once

#include "engine/load/load_options.h"

#include <optional>
#include <string>

namespace shimmy::engine {

struct ChosenSpeculation {
    std::string text;            // for people; empty: nothing was to be measured
    std::string kind;            // the one that was the best; empty: none was measured
    bool is_on = false;          // it is used
    std::optional<double> gain;  // its rate over that without; nullopt: it has drafted nothing
};

// Loads the model, lets it write an answer to a built-in text with and without speculation, and frees it. Then `load`
// says what was faster. Throws what loading throws.
ChosenSpeculation choose_speculation(LoadOptions & load);

}  // namespace shimmy::engine
