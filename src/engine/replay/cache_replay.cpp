#include "engine/replay/cache_replay.h"

#include "experts/policy.h"

#include <algorithm>
#include <list>
#include <memory>
#include <set>
#include <utility>

namespace shimmy::engine {

namespace {

using Expert = std::pair<int, int>;  // layer, expert

// What the replay asks of a cache.
class Cache {
public:
    virtual ~Cache() = default;
    virtual bool holds(Expert expert) const = 0;
    // The layer has been computed. Returns how many experts were uploaded.
    virtual int after_layer(const LayerChoice & choice, const TraceBatch & batch) = 0;
    virtual void after_batch(const TraceBatch &) {}
};

class NoCache : public Cache {
public:
    bool holds(Expert) const override { return false; }
    int after_layer(const LayerChoice &, const TraceBatch &) override { return 0; }
};

// The last layers are those that --n-cpu-moe leaves on the GPU.
class WholeLayers : public Cache {
public:
    WholeLayers(const RouteTrace & trace, uint64_t bytes) {
        for (auto layer = trace.expert_bytes.rbegin(); layer != trace.expert_bytes.rend(); ++layer) {
            const uint64_t needed = layer->second * static_cast<uint64_t>(trace.n_expert.at(layer->first));
            if (needed > bytes) break;
            bytes -= needed;
            layers_.insert(layer->first);
        }
    }
    bool holds(Expert expert) const override { return layers_.contains(expert.first); }
    int after_layer(const LayerChoice &, const TraceBatch &) override { return 0; }

private:
    std::set<int> layers_;
};

class Lru : public Cache {
public:
    Lru(const RouteTrace & trace, uint64_t bytes) : trace_(trace), limit_(bytes) {}
    bool holds(Expert expert) const override { return at_.contains(expert); }
    int after_layer(const LayerChoice & choice, const TraceBatch &) override {
        int uploads = 0;
        for (const int expert : choice.experts) {
            const Expert key{choice.layer, expert};
            const auto known = at_.find(key);
            if (known != at_.end()) {
                order_.erase(known->second);
            } else {
                ++uploads;
                bytes_ += bytes_of(key);
            }
            at_[key] = order_.insert(order_.end(), key);
        }
        for (auto oldest = order_.begin(); bytes_ > limit_ && oldest != order_.end();) {
            const bool just_used =
                oldest->first == choice.layer && std::ranges::count(choice.experts, oldest->second) > 0;
            if (just_used) {
                ++oldest;
                continue;
            }
            bytes_ -= bytes_of(*oldest);
            at_.erase(*oldest);
            oldest = order_.erase(oldest);
        }
        return uploads;
    }

private:
    uint64_t bytes_of(Expert expert) const { return trace_.expert_bytes.at(expert.first); }

    const RouteTrace & trace_;
    uint64_t limit_, bytes_ = 0;
    std::list<Expert> order_;  // oldest first
    std::map<Expert, std::list<Expert>::iterator> at_;
};

// The plugin's policy, with a class for each size of expert.
class Own : public Cache {
public:
    Own(const RouteTrace & trace, uint64_t bytes, double price) {
        std::map<uint64_t, size_t> class_of;  // by bytes of an expert
        std::vector<moe::ExpertClass> classes;
        for (const auto & [layer, expert_bytes] : trace.expert_bytes) {
            const auto [known, is_new] = class_of.emplace(expert_bytes, classes.size());
            if (is_new) classes.push_back({0, static_cast<size_t>(expert_bytes)});
            moe::ExpertClass & c = classes[known->second];
            layers_[layer] = {known->second, c.experts};
            c.experts += trace.n_expert.at(layer);
        }
        const std::vector<int> slots = moe::share_slots(classes, static_cast<size_t>(bytes));
        moe::PolicyParams params;
        params.price = price;
        for (size_t i = 0; i < classes.size(); ++i)
            policies_.emplace_back(classes[i].experts, slots[i], params);
    }
    bool holds(Expert expert) const override {
        const Place & place = layers_.at(expert.first);
        return policies_[place.policy].slot_of(place.first + expert.second) >= 0;
    }
    // Uploads of a layer are there when it is computed next.
    int after_layer(const LayerChoice & choice, const TraceBatch & batch) override {
        const Place & place = layers_.at(choice.layer);
        moe::CachePolicy & policy = policies_[place.policy];
        for (size_t i = 0; i < choice.experts.size(); ++i)
            policy.use(place.first + choice.experts[i], choice.tokens[i], batch.n_tokens);
        std::vector<moe::CachePolicy::Upload> uploads;
        for (const int expert : choice.experts) {
            moe::CachePolicy::Upload upload{};
            if (policy.slot_of(place.first + expert) < 0 && policy.admit(place.first + expert, upload))
                uploads.push_back(upload);
        }
        for (const auto & upload : uploads)
            policy.uploaded(upload);
        return static_cast<int>(uploads.size());
    }
    void after_batch(const TraceBatch &) override {
        for (moe::CachePolicy & policy : policies_)
            policy.advance(1);
    }

private:
    struct Place {
        size_t policy = 0;
        int first = 0;  // its expert 0 among the policy's
    };
    std::map<int, Place> layers_;
    std::vector<moe::CachePolicy> policies_;
};

std::unique_ptr<Cache> make_cache(const RouteTrace & trace, CacheKind kind, uint64_t bytes, double price) {
    switch (kind) {
        case CacheKind::shimmy:
            return std::make_unique<Own>(trace, bytes, price);
        case CacheKind::lru:
            return std::make_unique<Lru>(trace, bytes);
        case CacheKind::layers:
            return std::make_unique<WholeLayers>(trace, bytes);
        case CacheKind::none:
            break;
    }
    return std::make_unique<NoCache>();
}

}  // namespace

const char * to_string(CacheKind kind) {
    switch (kind) {
        case CacheKind::shimmy:
            return "cache";
        case CacheKind::lru:
            return "lru";
        case CacheKind::layers:
            return "n-cpu-moe";
        case CacheKind::none:
            break;
    }
    return "cpu-moe";
}

Replay replay_cache(const RouteTrace & trace, CacheKind kind, uint64_t cache_bytes, double price) {
    const std::unique_ptr<Cache> cache = make_cache(trace, kind, cache_bytes, price);
    Replay replay;
    replay.may_stay_on_cpu = kind == CacheKind::shimmy;
    for (const TraceBatch & batch : trace.batches) {
        std::vector<LayerLookup> layers;
        for (const LayerChoice & choice : batch.layers) {
            const uint64_t bytes = trace.expert_bytes.at(choice.layer);
            LayerLookup & lookup = layers.emplace_back();
            for (const int expert : choice.experts) {
                const bool hit = cache->holds({choice.layer, expert});
                ++(hit ? lookup.hits : lookup.misses);
                (hit ? lookup.hit_bytes : lookup.miss_bytes) += bytes;
            }
            const int uploads = cache->after_layer(choice, batch);
            if (!batch.is_decode) continue;
            replay.lookups += choice.experts.size();
            replay.hits += static_cast<uint64_t>(lookup.hits);
            replay.uploads += static_cast<uint64_t>(uploads);
            replay.uploaded_bytes += static_cast<uint64_t>(uploads) * bytes;
        }
        cache->after_batch(batch);
        if (batch.is_decode) replay.tokens.push_back(std::move(layers));
    }
    return replay;
}

double decode_seconds(const Replay & replay, const DecodeMachine & machine) {
    double seconds = 0;
    for (const std::vector<LayerLookup> & token : replay.tokens) {
        seconds += machine.rest_s;
        for (const LayerLookup & layer : token) {
            const double cpu = static_cast<double>(layer.miss_bytes) / machine.ram_bytes_per_s;
            const double gpu = static_cast<double>(layer.hit_bytes) / machine.vram_bytes_per_s;
            const double all_on_cpu = cpu + static_cast<double>(layer.hit_bytes) / machine.ram_bytes_per_s;
            const double shared = std::max(cpu, gpu) + (layer.hits > 0 ? machine.hand_over_s : 0.0);
            seconds += replay.may_stay_on_cpu ? std::min(all_on_cpu, shared) : shared;
        }
    }
    if (machine.link_bytes_per_s > 0)
        seconds = std::max(seconds, static_cast<double>(replay.uploaded_bytes) / machine.link_bytes_per_s);
    return replay.tokens.empty() ? 0.0 : seconds / static_cast<double>(replay.tokens.size());
}

}  // namespace shimmy::engine
