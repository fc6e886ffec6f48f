// Internal to the engine: a shape's metadata as a gguf_context, tokenizer included.
#pragma once

#include "gguf/shape.h"

#include "ggml-cpp.h"

namespace shimmy::engine {

// general.architecture, the shape's own keys, and the tokenizer.* keys of its vocabulary file, padded with unused
// tokens. Throws Error naming the vocabulary file; UsageError if it holds more tokens than the shape allows.
gguf_context_ptr make_metadata(const gguf::Shape & shape);

}  // namespace shimmy::engine
