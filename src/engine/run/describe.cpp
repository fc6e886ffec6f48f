#include "engine/run/describe.h"

#include "base/host/host.h"

namespace shimmy::engine {

namespace {

Json bytes_by_kind(const BufferMemory & memory) {
    return {{"model_bytes", memory.model_bytes},
            {"context_bytes", memory.context_bytes},
            {"compute_bytes", memory.compute_bytes},
            {"expert_cache_bytes", memory.expert_cache_bytes}};
}

uint64_t used_bytes(const Device & device) {
    return device.memory_total_bytes - device.memory_free_bytes;
}

// By how much the driver's figure grew. A driver that saw nothing of what was allocated reports nothing.
Json used_since(const Device & before, const Device & now) {
    if (used_bytes(now) <= used_bytes(before)) return nullptr;
    return used_bytes(now) - used_bytes(before);
}

Json device_memory(const MemoryUse & use, const std::vector<Device> & before, const std::vector<Device> & now) {
    Json result = Json::array();
    for (const Device & device : now) {
        const BufferMemory ours = use.of_device(device.name);
        if (!device.is_gpu() || ours.total_bytes() == 0) continue;
        Json entry{{"device", device.name}};
        entry.update(bytes_by_kind(ours));
        entry["total_bytes"] = ours.total_bytes();
        entry["device_used_bytes"] = nullptr;
        for (const Device & then : before) {
            if (then.name == device.name) entry["device_used_bytes"] = used_since(then, device);
        }
        result.push_back(std::move(entry));
    }
    return result;
}

}  // namespace

Json device_json(const Device & device) {
    return {{"name", device.name},
            {"description", device.description},
            {"backend", device.backend},
            {"kind", to_string(device.kind)},
            {"software", device.software}};
}

Json host_json() {
    const Host machine = shimmy::host();
    return {{"name", machine.name},
            {"cpu", machine.cpu},
            {"os", machine.os},
            {"n_cores", machine.n_cores},
            {"ram_bytes", machine.ram_bytes}};
}

Json memory_json(const MemoryUse & use, uint64_t expert_ram_bytes, const std::vector<Device> & before,
                 const std::vector<Device> & now) {
    Json buffers = Json::array();
    for (const BufferMemory & buffer : use.buffers) {
        Json entry{{"device", buffer.device}, {"buffer_type", buffer.buffer_type}, {"host", buffer.host}};
        entry.update(bytes_by_kind(buffer));
        buffers.push_back(std::move(entry));
    }
    return {{"vram_bytes", use.vram().total_bytes()},     {"vram", bytes_by_kind(use.vram())},
            {"host", bytes_by_kind(use.host())},          {"expert_ram_bytes", expert_ram_bytes},
            {"devices", device_memory(use, before, now)}, {"buffers", std::move(buffers)}};
}

Json expert_tensors_json(const std::vector<TensorPlacement> & tensors) {
    Json list = Json::array();
    for (const TensorPlacement & tensor : tensors) {
        if (!tensor.is_expert) continue;
        list.push_back({{"name", tensor.name},
                        {"type", tensor.type},
                        {"buffer_type", tensor.buffer_type},
                        {"host", tensor.host},
                        {"bytes", tensor.bytes}});
    }
    return list;
}

Json expert_use_json(const std::optional<std::vector<ExpertUse>> & use) {
    if (!use) return nullptr;
    Json result = Json::array();
    for (const ExpertUse & entry : *use)
        result.push_back(
            {{"layer", entry.layer}, {"expert", entry.expert}, {"hits", entry.hits}, {"bytes", entry.bytes}});
    return result;
}

}  // namespace shimmy::engine
