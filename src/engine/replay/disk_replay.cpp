#include "engine/replay/disk_replay.h"

#include "disk/residency.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace shimmy::engine {

namespace {

using Expert = std::pair<int, int>;  // layer, expert

class Store {
public:
    Store(const RouteTrace & trace, uint64_t bytes) : trace_(trace), limit_(bytes) {
        for (const auto & [layer, n_expert] : trace.n_expert)
            uses_.emplace(layer, moe::Uses(n_expert));
    }

    bool holds(Expert expert) const { return held_.contains(expert); }
    bool is_full() const { return is_full_; }

    void after_layer(const LayerChoice & choice, int n_tokens) {
        std::vector<int32_t> counts(static_cast<size_t>(trace_.n_expert.at(choice.layer)));
        for (size_t i = 0; i < choice.experts.size(); ++i)
            counts[static_cast<size_t>(choice.experts[i])] = choice.tokens[i];
        uses_.at(choice.layer).add(counts.data(), n_tokens);
        for (const int expert : choice.experts) {
            const uint64_t bytes = trace_.expert_bytes.at(choice.layer);
            if (!holds({choice.layer, expert}) && make_room(bytes, choice)) {
                held_.insert({choice.layer, expert});
                bytes_ += bytes;
            }
        }
    }

private:
    bool make_room(uint64_t bytes, const LayerChoice & choice) {
        while (bytes_ + bytes > limit_) {
            is_full_ = true;
            auto least = held_.end();
            for (auto held = held_.begin(); held != held_.end(); ++held) {
                const bool is_needed =
                    held->first == choice.layer && std::ranges::count(choice.experts, held->second) > 0;
                if (!is_needed && (least == held_.end() || use_of(*held) < use_of(*least))) least = held;
            }
            if (least == held_.end()) return false;
            bytes_ -= trace_.expert_bytes.at(least->first);
            held_.erase(least);
        }
        return true;
    }
    float use_of(Expert expert) const { return uses_.at(expert.first).of(expert.second); }

    const RouteTrace & trace_;
    uint64_t limit_, bytes_ = 0;
    bool is_full_ = false;
    std::map<int, moe::Uses> uses_;
    std::set<Expert> held_;
};

}  // namespace

DiskReplay replay_disk(const RouteTrace & trace, uint64_t ram_bytes) {
    Store store(trace, ram_bytes);
    DiskReplay replay;
    bool was_full = false;
    for (const TraceBatch & batch : trace.batches) {
        if (batch.is_decode && store.is_full() && !was_full) {
            was_full = true;
            replay = {};
        }
        for (const LayerChoice & choice : batch.layers) {
            const auto hits = static_cast<uint64_t>(std::ranges::count_if(choice.experts, [&](int expert) {
                return store.holds({choice.layer, expert});
            }));
            store.after_layer(choice, batch.n_tokens);
            if (!batch.is_decode) continue;
            replay.lookups += choice.experts.size();
            replay.hits += hits;
            replay.read_bytes += (choice.experts.size() - hits) * trace.expert_bytes.at(choice.layer);
        }
        if (batch.is_decode) ++replay.n_tokens;
    }
    return replay;
}

}  // namespace shimmy::engine
