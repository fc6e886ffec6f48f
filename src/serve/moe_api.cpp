#include "serve/moe_api.h"

#include "base/host/bandwidth.h"
#include "base/host/host.h"
#include "base/version.h"
#include "engine/load/device.h"
#include "engine/load/memory.h"
#include "engine/load/version.h"
#include "gguf/expert_tensors.h"
#include "serve/shimmy_api.h"

#include <unistd.h>
#include <map>
#include <mutex>
#include <set>

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

struct LayerExperts {
    std::set<std::string> buffer_types;  // "CPU_Mapped", "MoE", "CUDA0"
    uint64_t bytes = 0;
    uint64_t host_bytes = 0;
    Json hits = Json::array();        // by expert
    Json read_bytes = Json::array();  // by expert
};

std::map<int, LayerExperts> experts_by_layer(const HostedModel & model) {
    std::map<int, LayerExperts> layers;
    for (const engine::TensorPlacement & tensor : model.tensors()) {
        if (!tensor.is_expert) continue;
        LayerExperts & layer = layers[gguf::layer_of(tensor.name)];
        layer.buffer_types.insert(tensor.buffer_type);
        layer.bytes += tensor.bytes;
        if (tensor.host) layer.host_bytes += tensor.bytes;
    }
    for (const engine::ExpertUse & one : model.expert_use()) {  // ordered by layer and expert
        layers[one.layer].hits.push_back(one.hits);
        layers[one.layer].read_bytes.push_back(one.bytes);
    }
    return layers;
}

Json bytes_by_kind(const engine::BufferMemory & memory) {
    return {{"model_bytes", memory.model_bytes},
            {"context_bytes", memory.context_bytes},
            {"compute_bytes", memory.compute_bytes},
            {"total_bytes", memory.total_bytes()}};
}

Json layers_document(const HostedModel & model) {
    Json layers = Json::array();
    for (const auto & [number, layer] : experts_by_layer(model)) {
        layers.push_back({{"layer", number},
                          {"placement", layer.host_bytes > 0 ? "cpu" : "gpu"},
                          {"buffer_types", layer.buffer_types},
                          {"expert_bytes", layer.bytes},
                          {"hits", layer.hits.empty() ? Json(nullptr) : layer.hits},
                          {"read_bytes", layer.read_bytes.empty() ? Json(nullptr) : layer.read_bytes}});
    }
    return layers;
}

Json moe_document(const Lease & model, double bandwidth) {
    const Loaded & loaded = model->loaded();
    const bool known = bandwidth > 0.0 && loaded.host_bytes_per_token > 0;
    const Json ceiling = known ? Json(bandwidth / static_cast<double>(loaded.host_bytes_per_token)) : Json(nullptr);
    return {{"model", model.name()},
            {"device", loaded.device.name},
            {"vram", bytes_by_kind(loaded.memory.vram())},
            {"host", bytes_by_kind(loaded.memory.host())},
            {"expert_ram_bytes", loaded.expert_ram_bytes},
            {"host_bytes_per_token", loaded.host_bytes_per_token},
            {"ram_bandwidth_bytes_per_s", bandwidth > 0.0 ? Json(bandwidth) : Json(nullptr)},
            {"decode_ceiling_tps", ceiling},
            {"layers", layers_document(*model)}};
}

// ---- Prometheus ----

std::string quoted(const std::string & text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c == '\n' ? ' ' : c;
    }
    return result + "\"";
}

// Lines of the text format, those of one name together as it wants them.
class Metrics {
public:
    void describe(const std::string & name, const std::string & type, const std::string & help) {
        heads_.try_emplace(name, fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type));
    }
    void add(const std::string & name, const std::string & labels, const std::string & value) {
        lines_[name] += fmt::format("{}{{{}}} {}\n", name, labels, value);
    }
    // Another program's lines, of `labels` from now on.
    void add_text(const std::string & text, const std::string & labels) {
        for (size_t start = 0, end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
            add_line(text.substr(start, end - start), labels);
    }
    std::string text() const {
        std::string result;
        for (const auto & [name, lines] : lines_)
            result += (heads_.contains(name) ? heads_.at(name) : "") + lines;
        return result;
    }

private:
    void add_line(const std::string & line, const std::string & labels) {
        if (line.starts_with("# ")) {
            const size_t name = line.find(' ', 2) + 1;
            const std::string word = line.substr(name, line.find(' ', name) - name);
            if (!lines_.contains(word)) heads_[word] += line + "\n";
            return;
        }
        const size_t space = line.find(' ');
        if (space != std::string::npos) add(line.substr(0, space), labels, line.substr(space + 1));
    }

    std::map<std::string, std::string> heads_;
    std::map<std::string, std::string> lines_;
};

void add_model_metrics(Metrics & metrics, const Lease & model, const Request & request) {
    const std::string label = "model=" + quoted(model.name());
    const AnswerPtr answer = model->routes().get_metrics(request);
    if (answer->status == 200) metrics.add_text(answer->data, label);
    const engine::MemoryUse & memory = model->loaded().memory;
    metrics.describe("shimmy_memory_bytes", "gauge", "Memory that a loaded model holds");
    for (const engine::BufferMemory & buffer : memory.buffers) {
        for (const auto & [kind, bytes] : std::initializer_list<std::pair<const char *, uint64_t>>{
                 {"model", buffer.model_bytes}, {"context", buffer.context_bytes}, {"compute", buffer.compute_bytes}}) {
            metrics.add("shimmy_memory_bytes",
                        fmt::format("{},device={},buffer={},kind=\"{}\"", label, quoted(buffer.device),
                                    quoted(buffer.buffer_type), kind),
                        std::to_string(bytes));
        }
    }
}

void add_expert_metrics(Metrics & metrics, const Lease & model) {
    metrics.describe("shimmy_expert_hits_total", "counter", "Tokens routed to an expert");
    metrics.describe("shimmy_expert_read_bytes_total", "counter", "Bytes of an expert's weights that were read");
    for (const engine::ExpertUse & one : model->expert_use()) {
        const std::string labels =
            fmt::format("model={},layer=\"{}\",expert=\"{}\"", quoted(model.name()), one.layer, one.expert);
        metrics.add("shimmy_expert_hits_total", labels, std::to_string(one.hits));
        metrics.add("shimmy_expert_read_bytes_total", labels, std::to_string(one.bytes));
    }
}

std::string metrics_text(ModelPool & pool, const Request & request) {
    Metrics metrics;
    metrics.describe("shimmy_model_loaded", "gauge", "1 if the model is loaded");
    metrics.describe("shimmy_model_loads_total", "counter", "How often the model was loaded");
    for (const ModelStatus & status : pool.list()) {
        const std::string label = "model=" + quoted(status.model.name);
        metrics.add("shimmy_model_loaded", label, status.loaded ? "1" : "0");
        metrics.add("shimmy_model_loads_total", label, std::to_string(status.n_loads));
    }
    const std::vector<Lease> loaded = pool.loaded();
    for (const Lease & model : loaded) {
        add_model_metrics(metrics, model, request);
        add_expert_metrics(metrics, model);
    }
    metrics.describe("shimmy_peak_rss_bytes", "gauge", "The most RAM this process has held at once");
    metrics.add("shimmy_peak_rss_bytes", "", std::to_string(peak_rss_bytes()));
    return metrics.text();
}

Json diagnosis(const ModelPool & pool) {
    Json devices = Json::array();
    for (const engine::Device & device : engine::devices()) {
        devices.push_back({{"name", device.name},
                           {"description", device.description},
                           {"backend", device.backend},
                           {"software", device.software},
                           {"memory_free_bytes", device.memory_free_bytes},
                           {"memory_total_bytes", device.memory_total_bytes}});
    }
    Json models = Json::array();
    for (const ModelStatus & status : pool.list())
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

void add_moe_api(HttpFront & front, ModelPool & pool, const std::atomic<bool> & ready) {
    const Handler health = [&ready](const Request &) {
        return ready ? json_answer({{"status", "ok"}}) : json_answer({{"status", "loading"}}, 503);
    };
    front.get("/health", health, Access::anyone);
    front.get("/v1/health", health, Access::anyone);
    front.get("/diag", [&pool](const Request &) { return json_answer(diagnosis(pool)); });
    auto bandwidth = std::make_shared<RamBandwidth>();
    front.get("/v1/moe", [&pool, bandwidth](const Request & request) {
        const std::vector<Lease> loaded = pool.loaded();
        if (request.get_param("measure") == "bandwidth" && !loaded.empty())
            bandwidth->measure(loaded.front()->loaded().n_threads);
        Json models = Json::array();
        for (const Lease & model : loaded)
            models.push_back(moe_document(model, bandwidth->bytes_per_s()));
        return json_answer({{"models", models}});
    });
    front.get("/metrics", [&pool](const Request & request) {
        return text_answer(metrics_text(pool, request), "text/plain; version=0.0.4");
    });
}

}  // namespace shimmy::serve
