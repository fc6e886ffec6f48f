// Bounds of grammars, patterns and JSON schemas, before llama.cpp turns them into rules: it follows brackets on its
// stack, and writes out what is repeated.
#pragma once

#include "base/json.h"

#include <string>

namespace shimmy::serve {

// Each throws HttpError 400 that says what is too much. `where`: the member that is looked at.
void require_bounded_grammar(const std::string & grammar, const std::string & where);
void require_bounded_pattern(const std::string & pattern, const std::string & where);
void require_bounded_schema(const Json & schema, const std::string & where);

}  // namespace shimmy::serve
