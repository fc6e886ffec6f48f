// Which experts are worth their place in RAM. Pure: it knows uses, neither memory nor disks.
//
// Every expert has a use that decays: each token that is routed to it adds one, and half is forgotten in 16 tokens.
// Time passes for each weight tensor by itself, when its layer runs: so an expert of a layer that is still to come in
// this pass is not behind one of a layer that has just run. Without that, a prompt, which needs every expert of one
// layer after another, would push out what it needs next.
// On a public trace this hits as often as least recently used or more, at every size (bench/LOG.md, entry 38).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moe {

class Uses {
public:
    explicit Uses(int32_t experts) : use_(size_t(experts), 0.0f) {}

    // A batch of `tokens`: count[e] of its slots went to expert e.
    void add(const int32_t * count, int64_t tokens);
    float of(int32_t expert) const { return use_[size_t(expert)]; }

private:
    std::vector<float> use_;
};

}  // namespace moe
