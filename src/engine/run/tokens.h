// Internal to the engine: text as tokens of a model's vocabulary.
#pragma once

#include "engine/load/load_options.h"

#include <cstdint>
#include <string>
#include <vector>

struct llama_vocab;

namespace shimmy::engine {

// `name`: of the model, for messages. Throws Error for a vocabulary that cannot express the text.
std::vector<int32_t> tokenize(const llama_vocab * vocab, const std::string & name, const std::string & text,
                              bool parse_special);

// Throws Error for an embedding model, which turns text into vectors and writes none.
void require_text_model(LoadOptions & options);

}  // namespace shimmy::engine
