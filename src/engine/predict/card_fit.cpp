#include "engine/predict/card_fit.h"

#include "base/text/units.h"
#include "engine/predict/shortage.h"

#include <algorithm>

namespace shimmy::engine {

std::vector<CardFit> fit_cards(const std::vector<PlacementEstimate> & estimates, uint64_t ram_bytes,
                               std::optional<uint64_t> reserve_bytes) {
    std::vector<CardFit> fits;
    for (const uint64_t gib : CARD_SIZES_GIB) {
        const uint64_t card_bytes = gib * GIB;
        const uint64_t kept_free = std::min(card_bytes, reserve_bytes.value_or(margin_bytes(card_bytes)));
        const PlacementEstimate * best = best_fit(estimates, {card_bytes - kept_free}, ram_bytes);
        fits.push_back({card_bytes, best == nullptr ? std::nullopt : std::optional(*best)});
    }
    return fits;
}

Json to_json(const CardFit & fit) {
    Json json{{"card_bytes", fit.card_bytes}, {"fits", fit.best.has_value()}};
    if (fit.best) {
        json["placement"] = to_string(fit.best->placement);
        json["n_cpu_moe"] = fit.best->n_cpu_moe;
        json["vram_bytes"] = fit.best->vram.total_bytes();
        json["host_bytes"] = fit.best->host.total_bytes();
    }
    return json;
}

}  // namespace shimmy::engine
