// What the server does and uses: /v1/moe (experts: where they lie, which are chosen), /metrics for Prometheus, /health
// and /diag.
#pragma once

#include "serve/http/front.h"
#include "serve/pool/model_pool.h"

#include <atomic>

namespace shimmy::serve {

// `options`: how models are loaded. `ready`: what is to be loaded at start is. Until then /health answers 503. Both
// must outlive `front`.
void add_moe_api(HttpFront & front, ModelPool & pool, const ModelOptions & options, const std::atomic<bool> & ready);

}  // namespace shimmy::serve
