// How evenly a model uses its experts, and how often its router picks others than the base's does.
#pragma once

#include "engine/load/routing.h"

#include <cstdint>
#include <map>
#include <vector>

namespace shimmy::quality {

struct LayerUse {
    int layer = 0;
    int n_used = 0;                    // experts per token
    std::vector<uint64_t> hits;        // per expert: tokens routed to it
    double other_experts_share = 0.0;  // of the choices, those that the base did not make for the same token; 0..1

    // Of the hits' distribution over experts, over that of an even one: 1 if all are used alike, 0 if only one is.
    double entropy() const;
    // Standard deviation of the hits over their mean: 0 if all are used alike.
    double variation() const;
    std::vector<int> never_chosen() const;
};

// Sums up chunk by chunk.
class RoutingTally {
public:
    explicit RoutingTally(int n_expert) : n_expert_(n_expert) {}

    // The same tokens through both. Throws Error if the two did not choose for the same tokens and layers.
    void add(const std::vector<engine::LayerRouting> & base, const std::vector<engine::LayerRouting> & model);

    std::vector<LayerUse> layers() const;

private:
    struct Layer {
        LayerUse use;
        uint64_t n_choices = 0;
        uint64_t n_others = 0;
    };

    int n_expert_;
    std::map<int, Layer> layers_;
};

}  // namespace shimmy::quality
