// What a model predicts after every token of one text, row by row. Internal to the engine and to what hosts llama.cpp's
// server: llama.cpp's types.
#pragma once

#include "llama.h"

#include <functional>
#include <span>
#include <string_view>

namespace shimmy::engine {

// Called with the index of a token and the logits after it, [n_vocab]. False ends the
// walk.
using OnLogits = std::function<bool(size_t index, std::span<const float> logits)>;

// Computes `tokens` in an empty context, `n_batch` at a time, with a row for each from `first` on. Throws Error that
// begins with `what` and has llama.cpp's reason.
void for_each_row(llama_context * context, std::string_view what, std::span<const llama_token> tokens, size_t first,
                  size_t n_batch, const OnLogits & on_logits);

}  // namespace shimmy::engine
