// Internal to the engine: a shape's metadata as a gguf_context, tokenizer included.
#pragma once

#include "gguf/gguf_file.h"
#include "gguf/shape.h"

#include "ggml-cpp.h"

namespace shimmy::engine {

// general.architecture, the shape's own keys, and the tokenizer.* keys of its vocabulary file, padded with unused
// tokens. Throws Error naming the vocabulary file; UsageError if it holds more tokens than the shape allows.
gguf_context_ptr make_metadata(const gguf::Shape & shape);

// What of these llama.cpp needs to build the graph, without the vocabulary: only its size.
gguf_context_ptr make_metadata_without_vocabulary(const gguf::Shape & shape);
gguf_context_ptr make_metadata_without_vocabulary(const gguf::GgufFile & file);

}  // namespace shimmy::engine
