// Graphics cards by name, for plans on machines that are not at hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace shimmy::engine {

// As its maker states it.
struct Card {
    std::string name;  // "RTX 4060"
    uint64_t memory_bytes = 0;
    double bandwidth_bytes_per_s = 0.0;  // of its memory
};

const std::vector<Card> & known_cards();

// Whatever the case, spaces and hyphens, with or without the maker ("rtx-4060", "NVIDIA GeForce RTX 4060"). Throws
// UsageError that names those like it.
Card find_card(const std::string & name);

// The slowest and the fastest of the known cards with about that much memory; of all, where there is none.
struct CardRange {
    double low_bytes_per_s = 0.0;
    double high_bytes_per_s = 0.0;
    bool of_this_size = false;
};
CardRange bandwidth_of_cards(uint64_t memory_bytes);

}  // namespace shimmy::engine
