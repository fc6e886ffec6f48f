#include "table.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"

namespace moe {

namespace {

using Tensors = std::map<std::string, ExpertTensor>;  // by name

struct Sum {
    uint64_t hits = 0, bytes = 0;
    bool in_vram = false;
};
using Layers = std::map<int32_t, std::vector<Sum>>;

struct Table {
    std::mutex mutex;
    std::map<const ggml_backend_buffer *, Tensors> buffers;  // nullptr: all that are not of this library
    Layers gone;                                             // of buffers that were freed
    uint64_t last_id = 0;
};

Table & table() {
    static Table & t = *new Table;  // never destroyed: buffers may be freed while the process ends
    return t;
}

bool is_ours(const ggml_backend_buffer * buffer) {
    if (buffer == nullptr) return false;
    const auto b = const_cast<ggml_backend_buffer *>(buffer);
    return std::strcmp(ggml_backend_buft_name(ggml_backend_buffer_get_type(b)), "MoE") == 0;
}

int32_t layer_of(const char * name) {
    if (std::strncmp(name, "blk.", 4) != 0) return -1;
    char * end = nullptr;
    const long n = std::strtol(name + 4, &end, 10);
    return end != name + 4 && *end == '.' && n >= 0 && n < 100000 ? static_cast<int32_t>(n) : -1;
}

ExpertTensor * search(const ggml_tensor * w, const ggml_backend_buffer * buffer) {
    const char * name = ggml_get_name(w);
    const int32_t layer = layer_of(name), n_expert = static_cast<int32_t>(w->ne[2]);
    if (layer < 0) return nullptr;
    std::string key = name;
    if (buffer == nullptr) {  // models that come and go: what has the same name must also have the same shape
        key += '/' + std::to_string(n_expert) + '/' + std::to_string(w->nb[2]);
    }
    Table & t = table();
    std::lock_guard<std::mutex> lock(t.mutex);
    ExpertTensor & e = t.buffers[buffer][key];
    if (e.counters == nullptr) {
        e.counters = std::shared_ptr<ExpertCounter[]>(new ExpertCounter[size_t(n_expert)]);
        e.id = ++t.last_id;
        e.layer = layer;
        e.is_down = std::strstr(name, "_down") != nullptr;
        e.n_expert = n_expert;
        e.expert_bytes = w->nb[2];
    }
    return &e;
}

void add(Layers & sum, const Tensors & tensors) {
    for (const auto & entry : tensors) {
        const ExpertTensor & t = entry.second;
        std::vector<Sum> & s = sum[t.layer];
        if (s.size() < size_t(t.n_expert)) s.resize(size_t(t.n_expert));
        for (size_t e = 0; e < size_t(t.n_expert); ++e) {
            if (t.is_down) s[e].hits += t.counters[e].tokens;
            if (t.counters[e].in_vram > 0) s[e].in_vram = true;
            s[e].bytes += t.counters[e].reads * t.expert_bytes;
        }
    }
}

size_t copy(const Layers & layers, ggml_moe_expert_stat * out, size_t capacity) {
    size_t n = 0;
    for (const auto & [layer, sums] : layers) {
        for (size_t e = 0; e < sums.size(); ++e, ++n) {
            if (n < capacity && out != nullptr) {
                out[n] = {layer, static_cast<int32_t>(e), sums[e].hits, sums[e].bytes, sums[e].in_vram, 0};
            }
        }
    }
    return n;
}

}  // namespace

ExpertTensor * expert_tensor(const ggml_tensor * weights) {
    if (!is_ours(weights->buffer)) return search(weights, nullptr);
    void ** extra = &const_cast<ggml_tensor *>(weights)->extra;  // backends may leave a note of their own there
    if (void * known = __atomic_load_n(extra, __ATOMIC_ACQUIRE)) return static_cast<ExpertTensor *>(known);
    ExpertTensor * e = search(weights, weights->buffer);
    __atomic_store_n(extra, e, __ATOMIC_RELEASE);
    return e;
}

void record(ExpertTensor & t, const int32_t * count) {
    for (int32_t e = 0; e < t.n_expert; ++e) {
        if (count[e] == 0) continue;
        t.counters[size_t(e)].tokens.fetch_add(uint64_t(count[e]), std::memory_order_relaxed);
        t.counters[size_t(e)].reads.fetch_add(1, std::memory_order_relaxed);
    }
}

size_t stats_read(ggml_moe_expert_stat * out, size_t capacity) {
    Table & t = table();
    std::lock_guard<std::mutex> lock(t.mutex);
    Layers sum = t.gone;
    for (const auto & entry : t.buffers) {
        add(sum, entry.second);
    }
    return copy(sum, out, capacity);
}

size_t stats_read_of(const ggml_backend_buffer * buffer, ggml_moe_expert_stat * out, size_t capacity) {
    Table & t = table();
    std::lock_guard<std::mutex> lock(t.mutex);
    const auto found = t.buffers.find(buffer);
    if (found == t.buffers.end()) return 0;
    Layers sum;
    add(sum, found->second);
    return copy(sum, out, capacity);
}

void stats_reset() {
    Table & t = table();
    std::lock_guard<std::mutex> lock(t.mutex);
    for (auto & entry : t.gone) {
        entry.second.assign(entry.second.size(), Sum());
    }
    for (auto & buffer : t.buffers) {
        for (auto & entry : buffer.second) {
            for (int32_t e = 0; e < entry.second.n_expert; ++e) {
                entry.second.counters[size_t(e)].tokens = 0;
                entry.second.counters[size_t(e)].reads = 0;
            }
        }
    }
}

void forget_buffer(const ggml_backend_buffer * buffer) {
    Table & t = table();
    std::lock_guard<std::mutex> lock(t.mutex);
    const auto found = t.buffers.find(buffer);
    if (found == t.buffers.end()) return;
    try {
        add(t.gone, found->second);
        for (auto & entry : t.gone) {
            for (Sum & sum : entry.second) {
                sum.in_vram = false;
            }
        }
    } catch (const std::bad_alloc &) {  // the total loses them
    }
    t.buffers.erase(found);
}

}  // namespace moe
