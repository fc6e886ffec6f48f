#include "engine/experts/expert_cache.h"

#include "engine/device/moe_plugin.h"

#include "ggml-moe.h"
#include "llama.h"

namespace shimmy::engine {

std::optional<double> ExpertCache::hit_rate() const {
    if (lookups == 0) return std::nullopt;
    return static_cast<double>(hits) / static_cast<double>(lookups);
}

void open_expert_cache(llama_context * context) {
    constexpr int MOST_TOKENS = 8;  // the plugin watches four
    for (int i = 0; i < MOST_TOKENS; ++i) {
        const auto cache = expert_cache();
        if (!cache || !cache->state.starts_with("watching")) break;
        llama_token token = 0;
        if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) break;
    }
    llama_synchronize(context);
    llama_memory_clear(llama_get_memory(context), true);
}

std::optional<ExpertCache> expert_cache() {
    const auto read = moe_function<ggml_moe_cache_stats_t>("ggml_moe_cache_stats");
    const auto memory = moe_function<ggml_moe_memory_t>("ggml_moe_memory");
    if (read == nullptr || memory == nullptr) return std::nullopt;
    ggml_moe_cache_stats stats{};
    ggml_moe_memory bytes{};
    ExpertCache cache;
    cache.state = read(&stats);
    memory(&bytes, nullptr);
    cache.bytes = bytes.cache_bytes;
    cache.slots = stats.slots;
    cache.resident = stats.resident;
    cache.experts = stats.experts;
    cache.lookups = stats.lookups;
    cache.hits = stats.hits;
    cache.uploads = stats.uploads;
    cache.uploaded_bytes = stats.uploaded_bytes;
    return cache;
}

Json to_json(const std::optional<ExpertCache> & cache) {
    if (!cache) return nullptr;
    return {{"state", cache->state},       {"bytes", cache->bytes},     {"slots", cache->slots},
            {"resident", cache->resident}, {"experts", cache->experts}, {"lookups", cache->lookups},
            {"hits", cache->hits},         {"uploads", cache->uploads}, {"uploaded_bytes", cache->uploaded_bytes}};
}

std::optional<ExpertCache> expert_cache_from(const Json & document) {
    if (document.is_null()) return std::nullopt;
    ExpertCache cache;
    document.at("state").get_to(cache.state);
    document.at("bytes").get_to(cache.bytes);
    document.at("slots").get_to(cache.slots);
    document.at("resident").get_to(cache.resident);
    document.at("experts").get_to(cache.experts);
    document.at("lookups").get_to(cache.lookups);
    document.at("hits").get_to(cache.hits);
    document.at("uploads").get_to(cache.uploads);
    document.at("uploaded_bytes").get_to(cache.uploaded_bytes);
    return cache;
}

}  // namespace shimmy::engine
