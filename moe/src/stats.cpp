#include "stats.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "ggml.h"

namespace moe {

namespace {

struct Counter { uint64_t hits = 0, bytes = 0; };

struct Stats {
    std::mutex mutex;
    std::map<int32_t, std::vector<Counter>> layers;  // grows only when a layer is first seen
};

Stats & stats() {
    static Stats s;
    return s;
}

int32_t layer_of(const char * name) {
    if (std::strncmp(name, "blk.", 4) != 0) { return -1; }
    char * end = nullptr;
    const long n = std::strtol(name + 4, &end, 10);
    return end != name + 4 && *end == '.' && n >= 0 && n < 100000 ? static_cast<int32_t>(n) : -1;
}

}  // namespace

void stats_record(const ggml_tensor * weights, const int32_t * count, int32_t n_expert) {
    const char * name = ggml_get_name(weights);
    const int32_t layer = layer_of(name);
    if (layer < 0) { return; }
    const bool counts_hits = std::strstr(name, "_down") != nullptr;
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    std::vector<Counter> & c = s.layers[layer];
    if (c.size() < size_t(n_expert)) { c.resize(size_t(n_expert)); }
    for (int32_t e = 0; e < n_expert; ++e) {
        if (count[e] == 0) { continue; }
        c[size_t(e)].bytes += weights->nb[2];
        if (counts_hits) { c[size_t(e)].hits += uint64_t(count[e]); }
    }
}

size_t stats_read(ggml_moe_expert_stat * out, size_t capacity) {
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    size_t n = 0;
    for (const auto & [layer, counters] : s.layers) {
        for (size_t e = 0; e < counters.size(); ++e, ++n) {
            if (n < capacity && out != nullptr) { out[n] = {layer, static_cast<int32_t>(e), counters[e].hits, counters[e].bytes}; }
        }
    }
    return n;
}

void stats_reset() {
    Stats & s = stats();
    std::lock_guard<std::mutex> lock(s.mutex);
    for (auto & entry : s.layers) { entry.second.assign(entry.second.size(), Counter()); }
}

}  // namespace moe
