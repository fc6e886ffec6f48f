#include "stats.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"

namespace moe {

namespace {

struct Counter {
    uint64_t hits = 0, bytes = 0;
};

using Layers = std::map<int32_t, std::vector<Counter>>;  // grows only when a layer is first seen

struct Stats {
    std::mutex mutex;
    std::map<const ggml_backend_buffer *, Layers> buffers;  // nullptr: of all that are gone
};

Stats & stats() {
    static Stats & s = *new Stats;  // never destroyed: buffers may be freed while the process ends
    return s;
}

// nullptr for buffers whose end this library does not learn of.
const ggml_backend_buffer * buffer_of(const ggml_tensor * weights) {
    if (weights->buffer == nullptr) return nullptr;
    const char * type = ggml_backend_buft_name(ggml_backend_buffer_get_type(weights->buffer));
    return std::strcmp(type, "MoE") == 0 ? weights->buffer : nullptr;
}

int32_t layer_of(const char * name) {
    if (std::strncmp(name, "blk.", 4) != 0) return -1;
    char * end = nullptr;
    const long n = std::strtol(name + 4, &end, 10);
    return end != name + 4 && *end == '.' && n >= 0 && n < 100000 ? static_cast<int32_t>(n) : -1;
}

void add(Layers & sum, const Layers & layers) {
    for (const auto & [layer, counters] : layers) {
        std::vector<Counter> & c = sum[layer];
        if (c.size() < counters.size()) c.resize(counters.size());
        for (size_t e = 0; e < counters.size(); ++e) {
            c[e].hits += counters[e].hits;
            c[e].bytes += counters[e].bytes;
        }
    }
}

size_t copy(const Layers & layers, ggml_moe_expert_stat * out, size_t capacity) {
    size_t n = 0;
    for (const auto & [layer, counters] : layers) {
        for (size_t e = 0; e < counters.size(); ++e, ++n) {
            if (n < capacity && out != nullptr) {
                out[n] = {layer, static_cast<int32_t>(e), counters[e].hits, counters[e].bytes};
            }
        }
    }
    return n;
}

}  // namespace

void stats_record(const ggml_tensor * weights, const int32_t * count, int32_t n_expert) {
    const char * name = ggml_get_name(weights);
    const int32_t layer = layer_of(name);
    if (layer < 0) return;
    const bool counts_hits = std::strstr(name, "_down") != nullptr;
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    std::vector<Counter> & c = s.buffers[buffer_of(weights)][layer];
    if (c.size() < size_t(n_expert)) c.resize(size_t(n_expert));
    for (int32_t e = 0; e < n_expert; ++e) {
        if (count[e] == 0) continue;
        c[size_t(e)].bytes += weights->nb[2];
        if (counts_hits) c[size_t(e)].hits += uint64_t(count[e]);
    }
}

size_t stats_read(ggml_moe_expert_stat * out, size_t capacity) {
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    Layers sum;
    for (const auto & entry : s.buffers) {
        add(sum, entry.second);
    }
    return copy(sum, out, capacity);
}

size_t stats_read_of(const ggml_backend_buffer * buffer, ggml_moe_expert_stat * out, size_t capacity) {
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    const auto found = s.buffers.find(buffer);
    return found == s.buffers.end() ? 0 : copy(found->second, out, capacity);
}

void stats_reset() {
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    for (auto & buffer : s.buffers) {
        for (auto & entry : buffer.second) {
            entry.second.assign(entry.second.size(), Counter());
        }
    }
}

void stats_forget(const ggml_backend_buffer * buffer) {
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    const auto found = s.buffers.find(buffer);
    if (found == s.buffers.end()) return;
    try {
        add(s.buffers[nullptr], found->second);
    } catch (const std::bad_alloc &) {  // the total loses them
    }
    s.buffers.erase(found);
}

}  // namespace moe
