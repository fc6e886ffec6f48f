// Prompts of a wanted length, and contexts that hold text already, for measuring: a built-in text fills them, since
// random tokens would choose experts as no text does.
#pragma once

#include "engine/run/model.h"

#include <string>

namespace shimmy::engine {

struct PromptLength {
    int n_tokens = 0;  // of the whole prompt, template and all; 0: as long as it is
    int depth = 0;     // tokens that the context holds before it
};

// Tokens of `rendered`, with as much of the built-in text right before `user_text` (where the rendered prompt does not
// hold it: at its beginning) as the length asks for. Throws UsageError if the prompt is longer by itself, and Error if
// the context does not hold it all.
TokenPrompt make_prompt(const Model & model, const std::string & rendered, const std::string & user_text,
                        const PromptLength & length);

}  // namespace shimmy::engine
