#include "engine/load/memory.h"

#include "gguf/expert_tensors.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

template <typename Predicate>
BufferMemory sum(const std::vector<BufferMemory> & buffers, const Predicate & wanted) {
    BufferMemory total;
    for (const BufferMemory & buffer : buffers) {
        if (!wanted(buffer)) continue;
        total.model_bytes += buffer.model_bytes;
        total.context_bytes += buffer.context_bytes;
        total.compute_bytes += buffer.compute_bytes;
        total.expert_cache_bytes += buffer.expert_cache_bytes;
    }
    return total;
}

}  // namespace

BufferMemory MemoryUse::vram() const {
    return sum(buffers, [](const BufferMemory & buffer) { return !buffer.host; });
}

BufferMemory MemoryUse::host() const {
    return sum(buffers, [](const BufferMemory & buffer) { return buffer.host; });
}

BufferMemory MemoryUse::of_device(const std::string & device) const {
    return sum(buffers, [&](const BufferMemory & buffer) { return buffer.device == device && !buffer.host; });
}

void add(MemoryUse & use, const MemoryUse & more) {
    for (const BufferMemory & buffer : more.buffers) {
        const auto same = [&](const BufferMemory & other) {
            return other.device == buffer.device && other.buffer_type == buffer.buffer_type;
        };
        const auto found = std::find_if(use.buffers.begin(), use.buffers.end(), same);
        if (found == use.buffers.end()) {
            use.buffers.push_back(buffer);
            continue;
        }
        found->model_bytes += buffer.model_bytes;
        found->context_bytes += buffer.context_bytes;
        found->compute_bytes += buffer.compute_bytes;
        found->expert_cache_bytes += buffer.expert_cache_bytes;
    }
}

uint64_t expert_ram_bytes(const std::vector<TensorPlacement> & tensors) {
    uint64_t bytes = 0;
    for (const TensorPlacement & tensor : tensors) {
        if (tensor.host && gguf::is_moved_by_cpu_moe(tensor.name)) bytes += tensor.bytes;
    }
    return bytes;
}

}  // namespace shimmy::engine
