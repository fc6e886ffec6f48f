// Ollama's API, as its own clients use it.
#pragma once

#include "serve/http/front.h"
#include "serve/pool/model_pool.h"

namespace shimmy::serve {

void add_ollama_api(HttpFront & front, ModelPool & pool);

}  // namespace shimmy::serve
