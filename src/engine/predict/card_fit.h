// Which placement of a model fits which card.
#pragma once

#include "base/json.h"
#include "engine/predict/placement_plan.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace shimmy::engine {

// VRAM of the cards that tables have a column for.
inline constexpr std::array<uint64_t, 6> CARD_SIZES_GIB{8, 12, 16, 24, 48, 80};

struct CardFit {
    uint64_t card_bytes = 0;
    std::optional<PlacementEstimate> best;  // the one that keeps the most experts on the card; nullopt: none fits
};

// On each of CARD_SIZES_GIB, of which `reserve_bytes` are kept free; nullopt: margin_bytes().
std::vector<CardFit> fit_cards(const std::vector<PlacementEstimate> & estimates, uint64_t ram_bytes,
                               std::optional<uint64_t> reserve_bytes);

// Keys: card_bytes, fits; where it does: placement, n_cpu_moe, vram_bytes, host_bytes.
Json to_json(const CardFit & fit);

}  // namespace shimmy::engine
