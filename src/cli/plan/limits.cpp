#include "cli/plan/limits.h"

#include "base/error.h"
#include "base/host/bandwidth.h"
#include "base/host/host.h"
#include "base/text/text.h"
#include "base/text/units.h"
#include "cli/placement_options.h"
#include "engine/load/load_options.h"
#include "engine/predict/card.h"
#include "engine/predict/shortage.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace shimmy::cli {

namespace {

uint64_t size_of_card(const std::string & text) {
    const uint64_t bytes = parse_memory_size(text, "--vram");
    if (bytes == 0) fail_usage("--vram {}: a card has some memory", text);
    return bytes;
}

std::vector<PlannedCard> named_cards(const LimitOptions & options) {
    std::vector<PlannedCard> cards;
    for (const std::string & name : options.cards.empty() ? std::vector<std::string>{} : split(options.cards, ',')) {
        const engine::Card card = engine::find_card(name);
        cards.push_back({card.name, card.memory_bytes});
    }
    const std::vector<std::string> sizes = options.vram.empty() ? std::vector<std::string>{} : split(options.vram, ',');
    if (!cards.empty() && !sizes.empty()) fail_usage("--card says how much memory it has: leave out --vram");
    for (size_t i = 0; i < sizes.size(); ++i)
        cards.push_back({sizes.size() > 1 ? fmt::format("card {}", i + 1) : "card", size_of_card(sizes[i])});
    if (cards.size() > engine::MAX_CARDS)
        fail_usage("{} cards: plans are for {} at most", cards.size(), engine::MAX_CARDS);
    return cards;
}

// The GPUs of this machine are planned for, unless other cards are named, or another number of them.
void set_cards(const LimitOptions & options, Limits & limits) {
    const engine::Device device = engine::find_device(options.device);
    const std::vector<engine::Device> gpus = engine::gpus_in_use(options.device);
    limits.cards = named_cards(options);
    limits.exact =
        !gpus.empty() && options.cards.empty() && (limits.cards.empty() || limits.cards.size() == gpus.size());
    limits.device_name = device.name;
    limits.load_device =
        limits.exact ? options.device : engine::modelled_cards(std::max<size_t>(limits.cards.size(), 1));
    limits.card_source = options.cards.empty() ? "--vram" : "--card";
    if (!limits.exact) return;
    const bool named = !limits.cards.empty();
    limits.cards.resize(gpus.size());
    for (size_t i = 0; i < gpus.size(); ++i) {
        limits.cards[i].name = gpus[i].name;
        if (!named) limits.cards[i].limit_bytes = gpus[i].memory_free_bytes;
    }
    if (!named) limits.card_source = gpus.size() > 1 ? "free now" : fmt::format("free on {} now", device.name);
}

void set_reserve(const LimitOptions & options, Limits & limits) {
    for (PlannedCard & card : limits.cards)
        card.reserve_bytes = options.reserve.empty() ? engine::margin_bytes(card.limit_bytes)
                                                     : parse_bytes(options.reserve, "--reserve");
}

// Of several cards the slowest and the fastest: each reads its own layers.
engine::BandwidthRange vram_bandwidth(const LimitOptions & options, const Limits & limits) {
    if (!options.vram_bandwidth.empty()) return parse_bandwidth(options.vram_bandwidth, "--vram-bandwidth");
    double low = std::numeric_limits<double>::infinity();
    double high = 0.0;
    bool of_this_size = !limits.cards.empty();
    for (const PlannedCard & card : limits.cards) {
        engine::CardRange range = engine::bandwidth_of_cards(card.limit_bytes);
        if (!options.cards.empty()) {
            const double stated = engine::find_card(card.name).bandwidth_bytes_per_s;
            range = {stated, stated, true};
        }
        low = std::min(low, range.low_bytes_per_s);
        high = std::max(high, range.high_bytes_per_s);
        of_this_size = of_this_size && range.of_this_size;
    }
    if (!options.cards.empty()) return {low, high, "its maker's figure"};
    if (limits.cards.empty()) {
        const engine::CardRange any = engine::bandwidth_of_cards(0);
        return {any.low_bytes_per_s, any.high_bytes_per_s, "assumed: cards of all sizes"};
    }
    return {low, high, of_this_size ? "assumed: cards of this size" : "assumed: cards of all sizes"};
}

}  // namespace

engine::BandwidthRange parse_bandwidth(const std::string & text, const char * option) {
    std::string bytes = text;
    if (bytes.ends_with("/s")) bytes.resize(bytes.size() - 2);
    const auto value = static_cast<double>(parse_bytes(bytes, option));
    if (value <= 0.0) fail_usage("{}: must be above 0", option);
    return {value, value, "given"};
}

uint64_t Limits::vram_bytes() const {
    uint64_t sum = 0;
    for (const PlannedCard & card : cards)
        sum += card.limit_bytes;
    return sum;
}

uint64_t Limits::reserve_bytes() const {
    uint64_t sum = 0;
    for (const PlannedCard & card : cards)
        sum += card.reserve_bytes;
    return sum;
}

uint64_t Limits::usable_vram_bytes() const {
    uint64_t sum = 0;
    for (const PlannedCard & card : cards)
        sum += card.usable_bytes();
    return sum;
}

std::vector<uint64_t> Limits::usable_card_bytes() const {
    std::vector<uint64_t> bytes;
    for (const PlannedCard & card : cards)
        bytes.push_back(card.usable_bytes());
    return bytes;
}

std::vector<engine::Device> Limits::gpus() const {
    std::vector<engine::Device> gpus = engine::gpus_in_use(load_device);
    for (size_t i = 0; i < gpus.size(); ++i)
        gpus[i].memory_free_bytes = cards.empty() ? std::numeric_limits<uint64_t>::max() : cards.at(i).usable_bytes();
    return gpus;
}

Limits find_limits(const LimitOptions & options) {
    Limits limits;
    set_cards(options, limits);
    set_reserve(options, limits);
    limits.ram_bytes = options.ram.empty() ? host().ram_bytes : parse_memory_size(options.ram, "--ram");
    limits.ram_source = options.ram.empty() ? "of this machine" : "--ram";
    if (options.ram_bandwidth.empty()) {
        const double measured = measure_ram_bandwidth(default_threads());
        limits.ram = {measured, measured, "measured"};
    } else {
        limits.ram = parse_bandwidth(options.ram_bandwidth, "--bandwidth");
    }
    limits.vram = vram_bandwidth(options, limits);
    return limits;
}

}  // namespace shimmy::cli
