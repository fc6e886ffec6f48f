// Paths whose requests and answers are llama.cpp's own: handed to the model's process, and what it says handed back.
#pragma once

#include "serve/api/shapes.h"
#include "serve/http/request.h"
#include "serve/pool/conversation.h"

#include <string>

namespace shimmy::serve {

// The answer of `route`, which is the path's name in the model's process.
Answer ask_model(ModelPool & pool, const std::string & model, const Request & request, const std::string & route,
                 Shape shape, bool tell_timings);

}  // namespace shimmy::serve
