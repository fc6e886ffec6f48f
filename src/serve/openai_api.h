// Internal to serve/: OpenAI's and Anthropic's paths, and llama.cpp's own, answered by llama.cpp's handlers of the
// model that a request names.
#pragma once

#include "serve/http_front.h"
#include "serve/model_pool.h"

namespace shimmy::serve {

void add_openai_api(HttpFront & front, ModelPool & pool);

}  // namespace shimmy::serve
