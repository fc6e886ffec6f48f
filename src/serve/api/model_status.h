// What a model is doing, as JSON.
#pragma once

#include "base/json.h"
#include "serve/pool/model_pool.h"

namespace shimmy::serve {

// {"name", "state", …} of GET /api/models/NAME/status.
Json status_document(const ModelStatus & status);

}  // namespace shimmy::serve
