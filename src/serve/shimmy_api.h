// Internal to serve/: shimmy's own API, the one of the Rust program of the same name: /api/generate (raw text as
// server-sent events, or JSON), the same over a WebSocket, and models that can be listed, loaded and unloaded.
#pragma once

#include "serve/http_front.h"
#include "serve/model_pool.h"
#include "serve/server.h"

#include <functional>
#include <vector>

namespace shimmy::serve {

void add_shimmy_api(HttpFront & front, ModelPool & pool, const std::function<std::vector<ServedModel>()> & discover);

// {"name", "state", …} of GET /api/models/NAME/status.
Json status_document(const ModelStatus & status);

}  // namespace shimmy::serve
