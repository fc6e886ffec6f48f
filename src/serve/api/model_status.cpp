#include "serve/api/model_status.h"

namespace shimmy::serve {

Json status_document(const ModelStatus & status) {
    Json document{{"name", status.model.name},
                  {"aliases", status.model.aliases},
                  {"pinned", status.model.is_pinned},
                  {"state", to_string(status.state)},
                  {"error", status.error.empty() ? Json(nullptr) : Json(status.error)},
                  {"n_requests", status.n_requests},
                  {"n_loads", status.n_loads}};
    if (!status.loaded) return document;
    const Loaded & loaded = *status.loaded;
    document["idle_ms"] = status.idle_s * 1000.0;
    document["load_ms"] = loaded.load_ms;
    document["device"] = loaded.device.name;
    document["n_ctx"] = loaded.n_ctx;
    document["n_parallel"] = loaded.n_parallel;
    document["n_threads"] = loaded.n_threads;
    document["vram_bytes"] = loaded.memory.vram().total_bytes();
    document["host_bytes"] = loaded.memory.host().total_bytes();
    document["expert_ram_bytes"] = loaded.expert_ram_bytes;
    return document;
}

}  // namespace shimmy::serve
