#include "serve/metrics/model_status.h"

#include "serve/wire/documents.h"

namespace shimmy::serve {

namespace {

void set_memory_now(ModelPool & pool, ModelStatus & status, const Request & request) {
    if (!status.loaded) return;
    for (const Lease & lease : pool.loaded())
        if (lease.name() == status.model.name) status.loaded->memory = experts_now(lease, request).memory;
}

}  // namespace

std::string ask(const Lease & model, const char * route, const Request & request) {
    try {
        return model->ask(route, "", [&] { return request.should_stop() != Stop::no; });
    } catch (const Error &) {
        return "";
    }
}

wire::ExpertsNow experts_now(const Lease & model, const Request & request) {
    const std::string document = ask(model, wire::EXPERTS, request);
    if (document.empty()) return {{}, std::nullopt, std::nullopt, std::nullopt, model->loaded().memory};
    return wire::experts_from(Json::parse(document));
}

std::vector<ModelStatus> list_now(ModelPool & pool, const Request & request) {
    std::vector<ModelStatus> all = pool.list();
    for (ModelStatus & status : all)
        set_memory_now(pool, status, request);
    return all;
}

ModelStatus status_now(ModelPool & pool, const std::string & name, const Request & request) {
    ModelStatus status = pool.status(name);
    set_memory_now(pool, status, request);
    return status;
}

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
    if (loaded.device.is_gpu()) document["placement"] = engine::to_text(loaded.placement.placement);
    if (const engine::ChosenSpeculation & chosen = loaded.speculation; !chosen.text.empty())
        document["speculation"] = {{"text", chosen.text},
                                   {"kind", chosen.kind.empty() ? Json(nullptr) : Json(chosen.kind)},
                                   {"is_on", chosen.is_on},
                                   {"gain", chosen.gain ? Json(*chosen.gain) : Json(nullptr)}};
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
