// Errors as each API tells them, whole and in a stream that has begun.
#pragma once

#include "serve/http/request.h"

#include <string>

namespace shimmy::serve {

enum class Shape { openai, responses, anthropic, ollama, shimmy };

Json error_document(Shape shape, const HttpError & error);

// The last thing that a stream says.
std::string error_event(Shape shape, const HttpError & error);

}  // namespace shimmy::serve
