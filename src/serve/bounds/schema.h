// JSON schemas that an answer is to be held to: llama.cpp makes a grammar of some keywords, and passes over the others
// without a word.
#pragma once

#include "base/json.h"

#include <string>

namespace shimmy::serve {

// Throws HttpError 400 that names the keyword which would not be kept. `where`: the member that holds the schema.
void require_enforceable_schema(const Json & schema, const std::string & where);

}  // namespace shimmy::serve
