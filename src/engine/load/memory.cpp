#include "engine/load/memory.h"

#include "gguf/expert_tensors.h"

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

uint64_t expert_ram_bytes(const std::vector<TensorPlacement> & tensors) {
    uint64_t bytes = 0;
    for (const TensorPlacement & tensor : tensors) {
        if (tensor.host && gguf::is_moved_by_cpu_moe(tensor.name)) bytes += tensor.bytes;
    }
    return bytes;
}

}  // namespace shimmy::engine
