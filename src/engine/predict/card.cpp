#include "engine/predict/card.h"

#include "base/error.h"
#include "base/text/text.h"
#include "base/text/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

namespace shimmy::engine {

namespace {

// Memory in GiB, bandwidth in GB/s, from the makers' data sheets.
struct KnownCard {
    const char * name;
    int memory_gib;
    int bandwidth_gbps;
};
constexpr std::array ROWS{
    KnownCard{"RTX 2060", 6, 336},      KnownCard{"RTX 2070", 8, 448},
    KnownCard{"RTX 2080", 8, 448},      KnownCard{"RTX 2080 Ti", 11, 616},
    KnownCard{"RTX 3050", 8, 224},      KnownCard{"RTX 3060", 12, 360},
    KnownCard{"RTX 3060 Ti", 8, 448},   KnownCard{"RTX 3070", 8, 448},
    KnownCard{"RTX 3070 Ti", 8, 608},   KnownCard{"RTX 3080", 10, 760},
    KnownCard{"RTX 3080 Ti", 12, 912},  KnownCard{"RTX 3090", 24, 936},
    KnownCard{"RTX 3090 Ti", 24, 1008}, KnownCard{"RTX 4060", 8, 272},
    KnownCard{"RTX 4060 Ti", 8, 288},   KnownCard{"RTX 4060 Ti 16GB", 16, 288},
    KnownCard{"RTX 4070", 12, 504},     KnownCard{"RTX 4070 Super", 12, 504},
    KnownCard{"RTX 4070 Ti", 12, 504},  KnownCard{"RTX 4070 Ti Super", 16, 672},
    KnownCard{"RTX 4080", 16, 717},     KnownCard{"RTX 4080 Super", 16, 736},
    KnownCard{"RTX 4090", 24, 1008},    KnownCard{"RTX 5060", 8, 448},
    KnownCard{"RTX 5060 Ti", 8, 448},   KnownCard{"RTX 5060 Ti 16GB", 16, 448},
    KnownCard{"RTX 5070", 12, 672},     KnownCard{"RTX 5070 Ti", 16, 896},
    KnownCard{"RTX 5080", 16, 960},     KnownCard{"RTX 5090", 32, 1792},
    KnownCard{"GTX 1080 Ti", 11, 484},  KnownCard{"RTX A4000", 16, 448},
    KnownCard{"RTX A5000", 24, 768},    KnownCard{"RTX A6000", 48, 768},
    KnownCard{"RTX 6000 Ada", 48, 960}, KnownCard{"RTX PRO 6000", 96, 1792},
    KnownCard{"P40", 24, 346},          KnownCard{"T4", 16, 320},
    KnownCard{"L4", 24, 300},           KnownCard{"A10", 24, 600},
    KnownCard{"L40S", 48, 864},         KnownCard{"V100 16GB", 16, 900},
    KnownCard{"V100", 32, 900},         KnownCard{"A100 40GB", 40, 1555},
    KnownCard{"A100", 80, 2039},        KnownCard{"H100", 80, 3350},
    KnownCard{"H200", 141, 4800},       KnownCard{"RX 6700 XT", 12, 384},
    KnownCard{"RX 6800 XT", 16, 512},   KnownCard{"RX 6900 XT", 16, 512},
    KnownCard{"RX 7600", 8, 288},       KnownCard{"RX 7600 XT", 16, 288},
    KnownCard{"RX 7700 XT", 12, 432},   KnownCard{"RX 7800 XT", 16, 624},
    KnownCard{"RX 7900 XT", 20, 800},   KnownCard{"RX 7900 XTX", 24, 960},
    KnownCard{"RX 9070", 16, 645},      KnownCard{"RX 9070 XT", 16, 645},
    KnownCard{"MI50", 32, 1024},        KnownCard{"MI300X", 192, 5300},
    KnownCard{"Arc B580", 12, 456},     KnownCard{"Arc A770", 16, 560},
};

std::string without(std::string text, const std::string & word) {
    const size_t at = text.find(word);
    return at == text.npos ? text : text.erase(at, word.size());
}

// "NVIDIA GeForce RTX 4060" and "rtx-4060": "rtx4060".
std::string key_of(const std::string & name) {
    std::string key = lower(name);
    for (const char * maker : {"nvidia", "geforce", "tesla", "amd", "radeon", "intel"})
        key = without(key, maker);
    std::erase_if(key, [](unsigned char c) { return std::isalnum(c) == 0; });
    return key;
}

}  // namespace

const std::vector<Card> & known_cards() {
    static const std::vector<Card> cards = [] {
        std::vector<Card> result;
        for (const KnownCard & row : ROWS)
            result.push_back({row.name, static_cast<uint64_t>(row.memory_gib) * GIB, row.bandwidth_gbps * 1e9});
        return result;
    }();
    return cards;
}

Card find_card(const std::string & name) {
    const std::string wanted = key_of(name);
    std::string like;
    std::string all;
    for (const Card & card : known_cards()) {
        const std::string key = key_of(card.name);
        if (key == wanted || "rtx" + wanted == key || "rx" + wanted == key) return card;
        const bool alike = wanted.size() >= 2 && key.find(wanted) != key.npos;
        if (alike) like += (like.empty() ? "" : ", ") + card.name;
        all += (all.empty() ? "" : ", ") + card.name;
    }
    fail_usage("--card {}: not in the list ({}{}); --vram SIZE and --vram-bandwidth RATE say the same", name,
               like.empty() ? "" : "do you mean one of these: ", like.empty() ? all : like);
}

CardRange bandwidth_of_cards(uint64_t memory_bytes) {
    CardRange found;
    CardRange any;
    const auto widen = [](CardRange & range, double rate) {
        range.low_bytes_per_s = range.low_bytes_per_s == 0.0 ? rate : std::min(range.low_bytes_per_s, rate);
        range.high_bytes_per_s = std::max(range.high_bytes_per_s, rate);
    };
    for (const Card & card : known_cards()) {
        const double ratio = static_cast<double>(memory_bytes) / static_cast<double>(card.memory_bytes);
        widen(any, card.bandwidth_bytes_per_s);
        if (std::abs(ratio - 1.0) < 0.1) widen(found, card.bandwidth_bytes_per_s);
    }
    found.of_this_size = found.high_bytes_per_s > 0.0;
    return found.of_this_size ? found : any;
}

}  // namespace shimmy::engine
