// OpenAI's and Anthropic's paths, and llama.cpp's own, answered by the model that a request names.
#pragma once

#include "serve/http/front.h"
#include "serve/pool/model_pool.h"

namespace shimmy::serve {

void add_openai_api(HttpFront & front, ModelPool & pool);

}  // namespace shimmy::serve
