// What a GGUF file is for.
#pragma once

#include "gguf/gguf_file.h"

#include <string_view>

namespace shimmy::gguf {

// Models of language by how they compute; `embedding` turns text into vectors and writes none.
enum class ModelType { moe, dense, embedding, projector, adapter, imatrix, vocabulary, other };
const char * to_string(ModelType type);

// True for models that generate text.
inline bool is_llm(ModelType type) {
    return type == ModelType::moe || type == ModelType::dense;
}

// From "general.type", which converters write, and where it is missing (vocabularies) or says "model" from the rest.
ModelType model_type(const GgufFile & file);

// True for a model whose attention looks ahead, so that a text must be computed in one piece: embedding models and
// diffusion models.
bool looks_ahead(const GgufFile & file);

}  // namespace shimmy::gguf
