#include "serve/wire/documents.h"

#include <cstdint>

namespace shimmy::serve::wire {

namespace {

Json to_json(const engine::Device & device) {
    return {{"name", device.name},
            {"description", device.description},
            {"backend", device.backend},
            {"kind", static_cast<int>(device.kind)},
            {"software", device.software},
            {"memory_free_bytes", device.memory_free_bytes},
            {"memory_total_bytes", device.memory_total_bytes}};
}

engine::Device device_from(const Json & document) {
    engine::Device device;
    document.at("name").get_to(device.name);
    document.at("description").get_to(device.description);
    document.at("backend").get_to(device.backend);
    device.kind = static_cast<engine::DeviceKind>(document.at("kind").get<int>());
    document.at("software").get_to(device.software);
    document.at("memory_free_bytes").get_to(device.memory_free_bytes);
    document.at("memory_total_bytes").get_to(device.memory_total_bytes);
    return device;
}

Json to_json(const engine::MemoryUse & memory) {
    Json buffers = Json::array();
    for (const engine::BufferMemory & buffer : memory.buffers) {
        buffers.push_back({{"device", buffer.device},
                           {"buffer_type", buffer.buffer_type},
                           {"host", buffer.host},
                           {"model_bytes", buffer.model_bytes},
                           {"context_bytes", buffer.context_bytes},
                           {"compute_bytes", buffer.compute_bytes},
                           {"expert_cache_bytes", buffer.expert_cache_bytes}});
    }
    return buffers;
}

engine::MemoryUse memory_from(const Json & document) {
    engine::MemoryUse memory;
    for (const Json & entry : document) {
        engine::BufferMemory & buffer = memory.buffers.emplace_back();
        entry.at("device").get_to(buffer.device);
        entry.at("buffer_type").get_to(buffer.buffer_type);
        entry.at("host").get_to(buffer.host);
        entry.at("model_bytes").get_to(buffer.model_bytes);
        entry.at("context_bytes").get_to(buffer.context_bytes);
        entry.at("compute_bytes").get_to(buffer.compute_bytes);
        entry.at("expert_cache_bytes").get_to(buffer.expert_cache_bytes);
    }
    return memory;
}

Json to_json(const std::vector<LayerExperts> & layers) {
    Json document = Json::array();
    for (const LayerExperts & layer : layers) {
        document.push_back({{"layer", layer.layer},
                            {"buffer_types", layer.buffer_types},
                            {"bytes", layer.bytes},
                            {"host_bytes", layer.host_bytes}});
    }
    return document;
}

std::vector<LayerExperts> layers_from(const Json & document) {
    std::vector<LayerExperts> layers;
    for (const Json & entry : document) {
        LayerExperts & layer = layers.emplace_back();
        entry.at("layer").get_to(layer.layer);
        entry.at("buffer_types").get_to(layer.buffer_types);
        entry.at("bytes").get_to(layer.bytes);
        entry.at("host_bytes").get_to(layer.host_bytes);
    }
    return layers;
}

Json to_json(const engine::LoadOptions & load) {
    return {{"path", std::vector<uint8_t>(load.path.begin(), load.path.end())},  // which need not be UTF-8
            {"placement", engine::to_string(load.placement)},
            {"vram_limit_bytes", load.vram_limit_bytes},
            {"device", load.device},
            {"n_threads", load.n_threads},
            {"n_ctx", load.n_ctx},
            {"n_parallel", load.n_parallel},
            {"n_batch", load.n_batch},
            {"n_ubatch", load.n_ubatch},
            {"llama_args", load.llama_args},
            {"measures_speculation", load.measures_speculation},
            {"serves", load.serves},
            {"warm_up", load.warm_up},
            {"check_fit", load.check_fit},
            {"record_routing", load.record_routing}};
}

engine::LoadOptions load_from(const Json & document) {
    engine::LoadOptions load;
    const auto path = document.at("path").get<std::vector<uint8_t>>();
    load.path.assign(path.begin(), path.end());
    load.placement = engine::parse_placement_or_auto(document.at("placement").get<std::string>());
    document.at("vram_limit_bytes").get_to(load.vram_limit_bytes);
    document.at("device").get_to(load.device);
    document.at("n_threads").get_to(load.n_threads);
    document.at("n_ctx").get_to(load.n_ctx);
    document.at("n_parallel").get_to(load.n_parallel);
    document.at("n_batch").get_to(load.n_batch);
    document.at("n_ubatch").get_to(load.n_ubatch);
    document.at("llama_args").get_to(load.llama_args);
    document.at("measures_speculation").get_to(load.measures_speculation);
    document.at("serves").get_to(load.serves);
    document.at("warm_up").get_to(load.warm_up);
    document.at("check_fit").get_to(load.check_fit);
    document.at("record_routing").get_to(load.record_routing);
    return load;
}

}  // namespace

Json to_json(const Ask & ask) {
    return {{"route", ask.route},
            {"params", ask.params},
            {"accepted_ns", ask.accepted.time_since_epoch().count()},
            {"tell_timings", ask.tell_timings}};
}

Ask ask_from(const Json & document) {
    Ask ask;
    document.at("route").get_to(ask.route);
    document.at("params").get_to(ask.params);
    ask.accepted = Ask::Clock::time_point(Ask::Clock::duration(document.at("accepted_ns").get<Ask::Clock::rep>()));
    document.at("tell_timings").get_to(ask.tell_timings);
    return ask;
}

Json to_json(const std::string & name, const ModelOptions & options) {
    return {{"name", name},
            {"load", to_json(options.load)},
            {"gpu", options.backends.gpu},
            {"moe", options.backends.moe},
            {"moe_cache", options.backends.moe_cache},
            {"rpc_servers", options.backends.rpc_servers},
            {"moe_gpu_min_batch",
             options.backends.moe_gpu_min_batch ? Json(*options.backends.moe_gpu_min_batch) : Json(nullptr)},
            {"embeddings", options.embeddings},
            {"pooling", options.pooling},
            {"chat_template", options.chat_template},
            {"expert_trace", options.expert_trace},
            {"verbosity", options.verbosity},
            {"stall_limit_s", options.stall_limit.count()}};
}

std::string name_from(const Json & document) {
    return document.at("name").get<std::string>();
}

ModelOptions options_from(const Json & document) {
    ModelOptions options;
    options.load = load_from(document.at("load"));
    document.at("gpu").get_to(options.backends.gpu);
    document.at("moe").get_to(options.backends.moe);
    document.at("moe_cache").get_to(options.backends.moe_cache);
    document.at("rpc_servers").get_to(options.backends.rpc_servers);
    if (const Json & n = document.at("moe_gpu_min_batch"); !n.is_null())
        options.backends.moe_gpu_min_batch = n.get<int>();
    document.at("embeddings").get_to(options.embeddings);
    document.at("pooling").get_to(options.pooling);
    document.at("chat_template").get_to(options.chat_template);
    document.at("expert_trace").get_to(options.expert_trace);
    document.at("verbosity").get_to(options.verbosity);
    options.stall_limit = std::chrono::seconds(document.at("stall_limit_s").get<int64_t>());
    return options;
}

Json to_json(const engine::ChosenSpeculation & chosen) {
    return {{"text", chosen.text},
            {"kind", chosen.kind},
            {"is_on", chosen.is_on},
            {"gain", chosen.gain ? Json(*chosen.gain) : Json(nullptr)}};
}

engine::ChosenSpeculation speculation_from(const Json & document) {
    engine::ChosenSpeculation chosen{document.at("text"), document.at("kind"), document.at("is_on"), std::nullopt};
    if (const Json & gain = document.at("gain"); !gain.is_null()) chosen.gain = gain.get<double>();
    return chosen;
}

Json to_json(const Loaded & loaded) {
    return {{"placement", engine::to_string(loaded.placement.placement)},
            {"placement_reason", loaded.placement.reason},
            {"device", to_json(loaded.device)},
            {"n_threads", loaded.n_threads},
            {"n_parallel", loaded.n_parallel},
            {"n_ctx", loaded.n_ctx},
            {"load_ms", loaded.load_ms},
            {"speculation", to_json(loaded.speculation)},
            {"has_chat_template", loaded.has_chat_template},
            {"takes_images", loaded.takes_images},
            {"takes_audio", loaded.takes_audio},
            {"memory", to_json(loaded.memory)},
            {"expert_ram_bytes", loaded.expert_ram_bytes},
            {"host_bytes_per_token", loaded.host_bytes_per_token},
            {"experts", to_json(loaded.experts)},
            {"moe_backend", loaded.moe_backend},
            {"devices_before", to_json(loaded.devices_before)}};
}

Loaded loaded_from(const Json & document) {
    Loaded loaded;
    loaded.placement.placement = engine::parse_placement(document.at("placement").get<std::string>());
    document.at("placement_reason").get_to(loaded.placement.reason);
    loaded.device = device_from(document.at("device"));
    document.at("n_threads").get_to(loaded.n_threads);
    document.at("n_parallel").get_to(loaded.n_parallel);
    document.at("n_ctx").get_to(loaded.n_ctx);
    document.at("load_ms").get_to(loaded.load_ms);
    loaded.speculation = speculation_from(document.at("speculation"));
    document.at("has_chat_template").get_to(loaded.has_chat_template);
    document.at("takes_images").get_to(loaded.takes_images);
    document.at("takes_audio").get_to(loaded.takes_audio);
    loaded.memory = memory_from(document.at("memory"));
    document.at("expert_ram_bytes").get_to(loaded.expert_ram_bytes);
    document.at("host_bytes_per_token").get_to(loaded.host_bytes_per_token);
    loaded.experts = layers_from(document.at("experts"));
    document.at("moe_backend").get_to(loaded.moe_backend);
    loaded.devices_before = devices_from(document.at("devices_before"));
    return loaded;
}

Json to_json(const std::vector<engine::Device> & devices) {
    Json document = Json::array();
    for (const engine::Device & device : devices)
        document.push_back(to_json(device));
    return document;
}

std::vector<engine::Device> devices_from(const Json & document) {
    std::vector<engine::Device> devices;
    for (const Json & entry : document)
        devices.push_back(device_from(entry));
    return devices;
}

Json to_json(const ExpertsNow & experts) {
    Json use = Json::array();
    for (const engine::ExpertUse & one : experts.use)
        use.push_back({one.layer, one.expert, one.hits, one.bytes, one.in_vram});
    return {{"use", use},
            {"cache", engine::to_json(experts.cache)},
            {"disk", engine::to_json(experts.disk)},
            {"in_ram", engine::to_json(experts.in_ram)},
            {"memory", to_json(experts.memory)}};
}

ExpertsNow experts_from(const Json & document) {
    ExpertsNow experts;
    for (const Json & entry : document.at("use")) {
        experts.use.push_back({entry.at(0).get<int>(), entry.at(1).get<int>(), entry.at(2).get<uint64_t>(),
                               entry.at(3).get<uint64_t>(), entry.at(4).get<bool>()});
    }
    experts.cache = engine::expert_cache_from(document.at("cache"));
    experts.disk = engine::expert_disk_from(document.at("disk"));
    experts.in_ram = engine::expert_memory_from(document.at("in_ram"));
    experts.memory = memory_from(document.at("memory"));
    return experts;
}

Json to_json(const Figures & figures) {
    return {{"timings", figures.timings}, {"queue_ms", figures.queue_ms}, {"ttft_ms", figures.ttft_ms}};
}

Figures figures_from(const Json & document) {
    return {document.at("timings"), document.at("queue_ms").get<double>(), document.at("ttft_ms").get<double>()};
}

}  // namespace shimmy::serve::wire
