// shimmy's own API, the one of the Rust program of the same name: /api/generate (raw text as
// server-sent events, or JSON), the same over a WebSocket, and models that can be listed, loaded and unloaded.
#pragma once

#include "serve/http/front.h"
#include "serve/pool/model_pool.h"

#include <functional>
#include <vector>

namespace shimmy::serve {

void add_shimmy_api(HttpFront & front, ModelPool & pool, const std::function<std::vector<ServedModel>()> & discover);

}  // namespace shimmy::serve
