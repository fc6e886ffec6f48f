#include "serve/metrics/moe_api.h"

#include "base/host/bandwidth.h"
#include "base/host/host.h"
#include "base/version.h"
#include "engine/llama/version.h"
#include "serve/metrics/model_status.h"
#include "serve/metrics/prometheus.h"
#include "serve/wire/documents.h"

#include <unistd.h>
#include <map>
#include <memory>
#include <mutex>

namespace shimmy::serve {

namespace {

// Bytes/s, measured once, when somebody asks for it: half a second, and RAM beyond the caches.
class RamBandwidth {
public:
    void measure(int n_threads) {
        std::call_once(once_, [&] { bytes_per_s_ = measure_ram_bandwidth(n_threads); });
    }
    double bytes_per_s() const { return bytes_per_s_; }  // 0: not measured

private:
    std::once_flag once_;
    std::atomic<double> bytes_per_s_ = 0.0;
};

Json bytes_by_kind(const engine::BufferMemory & memory) {
    return {{"model_bytes", memory.model_bytes},
            {"context_bytes", memory.context_bytes},
            {"compute_bytes", memory.compute_bytes},
            {"expert_cache_bytes", memory.expert_cache_bytes},
            {"total_bytes", memory.total_bytes()}};
}

struct LayerUse {
    Json hits = Json::array();        // by expert
    Json read_bytes = Json::array();  // by expert
    Json in_vram = Json::array();     // experts that a cache holds
};

Json layers_document(const Lease & model, const wire::ExpertsNow & experts) {
    std::map<int, LayerUse> use;
    for (const engine::ExpertUse & one : experts.use) {  // ordered by layer and expert
        use[one.layer].hits.push_back(one.hits);
        use[one.layer].read_bytes.push_back(one.bytes);
        if (one.in_vram) use[one.layer].in_vram.push_back(one.expert);
    }
    Json layers = Json::array();
    for (const LayerExperts & layer : model->loaded().experts) {
        const LayerUse & counted = use[layer.layer];
        layers.push_back({{"layer", layer.layer},
                          {"placement", layer.host_bytes > 0 ? "cpu" : "gpu"},
                          {"buffer_types", layer.buffer_types},
                          {"expert_bytes", layer.bytes},
                          {"hits", counted.hits.empty() ? Json(nullptr) : counted.hits},
                          {"read_bytes", counted.read_bytes.empty() ? Json(nullptr) : counted.read_bytes},
                          {"experts_in_vram", counted.in_vram}});
    }
    return layers;
}

Json moe_document(const Lease & model, double bandwidth, const Request & request) {
    const Loaded & loaded = model->loaded();
    const wire::ExpertsNow experts = experts_now(model, request);
    const bool known = bandwidth > 0.0 && loaded.host_bytes_per_token > 0;
    const Json ceiling = known ? Json(bandwidth / static_cast<double>(loaded.host_bytes_per_token)) : Json(nullptr);
    return {{"model", model.name()},
            {"device", loaded.device.name},
            {"vram", bytes_by_kind(experts.memory.vram())},
            {"host", bytes_by_kind(experts.memory.host())},
            {"expert_ram_bytes", loaded.expert_ram_bytes},
            {"host_bytes_per_token", loaded.host_bytes_per_token},
            {"ram_bandwidth_bytes_per_s", bandwidth > 0.0 ? Json(bandwidth) : Json(nullptr)},
            {"decode_ceiling_tps", ceiling},
            {"expert_cache", engine::to_json(experts.cache)},
            {"expert_disk", engine::to_json(experts.disk)},
            {"expert_memory", engine::to_json(experts.in_ram)},
            {"layers", layers_document(model, experts)}};
}

void add_memory_metrics(Metrics & metrics, const std::string & label, const engine::MemoryUse & memory) {
    metrics.describe("shimmy_memory_bytes", "gauge", "Memory that a loaded model holds");
    for (const engine::BufferMemory & buffer : memory.buffers) {
        for (const auto & [kind, bytes] :
             std::initializer_list<std::pair<const char *, uint64_t>>{{"model", buffer.model_bytes},
                                                                      {"context", buffer.context_bytes},
                                                                      {"compute", buffer.compute_bytes},
                                                                      {"expert_cache", buffer.expert_cache_bytes}}) {
            metrics.add("shimmy_memory_bytes",
                        fmt::format("{},device={},buffer={},kind=\"{}\"", label, label_value(buffer.device),
                                    label_value(buffer.buffer_type), kind),
                        std::to_string(bytes));
        }
    }
}

void add_expert_metrics(Metrics & metrics, const std::string & label, const wire::ExpertsNow & experts) {
    metrics.describe("shimmy_expert_hits_total", "counter", "Tokens routed to an expert");
    metrics.describe("shimmy_expert_read_bytes_total", "counter", "Bytes of an expert's weights that were read");
    for (const engine::ExpertUse & one : experts.use) {
        const std::string labels = fmt::format("{},layer=\"{}\",expert=\"{}\"", label, one.layer, one.expert);
        metrics.add("shimmy_expert_hits_total", labels, std::to_string(one.hits));
        metrics.add("shimmy_expert_read_bytes_total", labels, std::to_string(one.bytes));
    }
}

// Where libggml-moe keeps experts, and how often they were there.
void add_store_metrics(Metrics & metrics, const std::string & label, const wire::ExpertsNow & experts) {
    if (!experts.cache || !experts.disk || !experts.in_ram) return;
    const auto add = [&](const char * name, const char * type, const char * help, uint64_t value) {
        metrics.describe(name, type, help);
        metrics.add(name, label, std::to_string(value));
    };
    const engine::ExpertCache & cache = *experts.cache;
    add("shimmy_expert_cache_slots", "gauge", "Experts that there is room for in VRAM", cache.slots);
    add("shimmy_expert_cache_resident", "gauge", "Experts that are in VRAM", cache.resident);
    add("shimmy_expert_cache_lookups_total", "counter", "Experts that were needed, once per layer and batch",
        cache.lookups);
    add("shimmy_expert_cache_hits_total", "counter", "Of these, those that were in VRAM", cache.hits);
    add("shimmy_expert_cache_uploads_total", "counter", "Experts copied into VRAM", cache.uploads);
    add("shimmy_expert_cache_uploaded_bytes_total", "counter", "Bytes of experts copied into VRAM",
        cache.uploaded_bytes);
    const engine::ExpertDisk & disk = *experts.disk;
    add("shimmy_expert_disk_ram_bytes", "gauge", "RAM for experts of a model that is larger; 0: it is not",
        disk.ram_bytes);
    add("shimmy_expert_disk_resident_bytes", "gauge", "Of this, in use", disk.resident_bytes);
    add("shimmy_expert_disk_lookups_total", "counter", "Experts that were needed, once per matrix and batch",
        disk.lookups);
    add("shimmy_expert_disk_hits_total", "counter", "Of these, those that were in RAM", disk.hits);
    add("shimmy_expert_disk_read_bytes_total", "counter", "Bytes of experts read from disk", disk.read_bytes);
    add("shimmy_expert_disk_failures_total", "counter", "Experts that could not be read", disk.failures);
    add("shimmy_expert_pinned_bytes", "gauge", "Experts in RAM that are page-locked for a GPU",
        experts.in_ram->pinned_bytes);
    add("shimmy_expert_mapped_bytes", "gauge", "Experts in RAM that are used where the file is mapped",
        experts.in_ram->mapped_bytes);
}

// What --spec auto has measured.
void add_speculation_metrics(Metrics & metrics, const std::string & label, const engine::ChosenSpeculation & chosen) {
    if (!chosen.gain) return;
    const std::string labels = fmt::format("{},kind={}", label, label_value(chosen.kind));
    metrics.describe("shimmy_speculation_gain", "gauge", "Decode rate with speculation over that without, measured");
    metrics.add("shimmy_speculation_gain", labels, fmt::format("{:.4f}", *chosen.gain));
    metrics.describe("shimmy_speculation_on", "gauge", "1 if that speculation is used");
    metrics.add("shimmy_speculation_on", labels, chosen.is_on ? "1" : "0");
}

std::string metrics_text(ModelPool & pool, const Request & request) {
    Metrics metrics;
    metrics.describe("shimmy_model_loaded", "gauge", "1 if the model is loaded");
    metrics.describe("shimmy_model_loads_total", "counter", "How often the model was loaded");
    for (const ModelStatus & status : pool.list()) {
        const std::string label = "model=" + label_value(status.model.name);
        metrics.add("shimmy_model_loaded", label, status.loaded ? "1" : "0");
        metrics.add("shimmy_model_loads_total", label, std::to_string(status.n_loads));
    }
    const std::vector<Lease> loaded = pool.loaded();
    for (const Lease & model : loaded) {
        const std::string label = "model=" + label_value(model.name());
        metrics.add_text(ask(model, "/metrics", request), label);
        const wire::ExpertsNow experts = experts_now(model, request);
        add_speculation_metrics(metrics, label, model->loaded().speculation);
        add_memory_metrics(metrics, label, experts.memory);
        add_expert_metrics(metrics, label, experts);
        add_store_metrics(metrics, label, experts);
    }
    metrics.describe("shimmy_peak_rss_bytes", "gauge", "The most RAM this process has held at once");
    metrics.add("shimmy_peak_rss_bytes", "", std::to_string(peak_rss_bytes()));
    return metrics.text();
}

Json diagnosis(ModelPool & pool, const ModelOptions & options, const Request & request) {
    Json devices = Json::array();
    for (const engine::Device & device : ModelProcess::devices(options)) {
        devices.push_back({{"name", device.name},
                           {"description", device.description},
                           {"backend", device.backend},
                           {"software", device.software},
                           {"memory_free_bytes", device.memory_free_bytes},
                           {"memory_total_bytes", device.memory_total_bytes}});
    }
    Json models = Json::array();
    for (const ModelStatus & status : list_now(pool, request))
        models.push_back(status_document(status));
    const Host machine = host();
    return {{"shimmy_version", shimmy_version()},
            {"llama_cpp_version", engine::llama_cpp_version()},
            {"pid", ::getpid()},
            {"host",
             {{"cpu", machine.cpu},
              {"os", machine.os},
              {"n_cores", machine.n_cores},
              {"ram_bytes", machine.ram_bytes},
              {"available_ram_bytes", available_ram_bytes()}}},
            {"peak_rss_bytes", peak_rss_bytes()},
            {"devices", devices},
            {"models", models}};
}

}  // namespace

void add_moe_api(HttpFront & front, ModelPool & pool, const ModelOptions & options, const std::atomic<bool> & ready) {
    const Handler health = [&ready](const Request &) {
        return ready ? json_answer({{"status", "ok"}}) : json_answer({{"status", "loading"}}, 503);
    };
    front.get("/health", health, Needs::nothing);
    front.get("/v1/health", health, Needs::nothing);
    front.get("/diag",
              [&pool, &options](const Request & request) { return json_answer(diagnosis(pool, options, request)); });
    auto bandwidth = std::make_shared<RamBandwidth>();
    front.get("/v1/moe", [&pool, bandwidth](const Request & request) {
        const std::vector<Lease> loaded = pool.loaded();
        if (request.param("measure") == "bandwidth" && !loaded.empty())
            bandwidth->measure(loaded.front()->loaded().n_threads);
        Json models = Json::array();
        for (const Lease & model : loaded)
            models.push_back(moe_document(model, bandwidth->bytes_per_s(), request));
        return json_answer({{"models", models}});
    });
    front.get("/metrics", [&pool](const Request & request) {
        return text_answer(metrics_text(pool, request), "text/plain; version=0.0.4");
    });
}

}  // namespace shimmy::serve
