// Internal to serve/: what the server does and uses: /v1/moe (experts: where they lie, which are chosen), /metrics for
// Prometheus, /health and /diag.
#pragma once

#include "serve/http_front.h"
#include "serve/model_pool.h"

#include <atomic>

namespace shimmy::serve {

// `ready`: what is to be loaded at start is. Until then /health answers 503. It must outlive `front`.
void add_moe_api(HttpFront & front, ModelPool & pool, const std::atomic<bool> & ready);

}  // namespace shimmy::serve
