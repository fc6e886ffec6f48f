#include "quality/routing.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace shimmy::quality {

namespace {

double sum_of(const std::vector<uint64_t> & hits) {
    return static_cast<double>(std::accumulate(hits.begin(), hits.end(), uint64_t{0}));
}

}  // namespace

double LayerUse::entropy() const {
    const double total = sum_of(hits);
    if (total == 0.0 || hits.size() < 2) return 0.0;
    double nats = 0.0;
    for (const uint64_t n : hits) {
        const double share = static_cast<double>(n) / total;
        if (n > 0) nats -= share * std::log(share);
    }
    return nats / std::log(static_cast<double>(hits.size()));
}

double LayerUse::variation() const {
    const double mean = sum_of(hits) / static_cast<double>(hits.size());
    if (hits.empty() || mean == 0.0) return 0.0;
    double squares = 0.0;
    for (const uint64_t n : hits)
        squares += (static_cast<double>(n) - mean) * (static_cast<double>(n) - mean);
    return std::sqrt(squares / static_cast<double>(hits.size())) / mean;
}

std::vector<int> LayerUse::never_chosen() const {
    std::vector<int> experts;
    for (size_t i = 0; i < hits.size(); ++i) {
        if (hits[i] == 0) experts.push_back(static_cast<int>(i));
    }
    return experts;
}

void RoutingTally::add(const std::vector<engine::LayerRouting> & base,
                       const std::vector<engine::LayerRouting> & model) {
    const auto same_shape = [](const engine::LayerRouting & a, const engine::LayerRouting & b) {
        return a.layer == b.layer && a.n_used == b.n_used && a.experts.size() == b.experts.size();
    };
    if (!std::equal(base.begin(), base.end(), model.begin(), model.end(), same_shape))
        fail("its router has other layers or chooses another number of experts than the base's");
    for (size_t i = 0; i < model.size(); ++i) {
        Layer & layer = layers_[model[i].layer];
        layer.use.layer = model[i].layer;
        layer.use.n_used = model[i].n_used;
        layer.use.hits.resize(static_cast<size_t>(n_expert_));
        const auto width = static_cast<std::ptrdiff_t>(model[i].n_used);
        for (auto m = model[i].experts.begin(), b = base[i].experts.begin(); m != model[i].experts.end();
             m += width, b += width) {
            std::vector<uint16_t> others;  // both rows are sorted
            std::set_difference(m, m + width, b, b + width, std::back_inserter(others));
            layer.n_others += others.size();
        }
        layer.n_choices += model[i].experts.size();
        for (const uint16_t expert : model[i].experts)
            ++layer.use.hits.at(expert);
    }
}

std::vector<LayerUse> RoutingTally::layers() const {
    std::vector<LayerUse> result;
    for (const auto & [index, layer] : layers_) {
        result.push_back(layer.use);
        result.back().other_experts_share = static_cast<double>(layer.n_others) / static_cast<double>(layer.n_choices);
    }
    return result;
}

}  // namespace shimmy::quality
