// Internal to the engine: who is told what a context of llama.cpp holds, step by step.
#pragma once

#include "llama.h"

#include <cstddef>

namespace shimmy::engine {

class ContextFollower {
public:
    virtual ~ContextFollower() = default;

    // A batch of text was computed behind what was held. Its hidden states are there until the next.
    virtual void computed(const llama_batch & batch) = 0;
    // The context holds only the first `n_tokens` from now on. False: that cannot be followed.
    virtual bool go_back(size_t n_tokens) = 0;
};

}  // namespace shimmy::engine
